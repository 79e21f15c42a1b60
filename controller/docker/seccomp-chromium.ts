/**
 * What Chromium's own sandbox needs and the engine's default profile forbids is new user namespaces: `clone`, `clone3` and
 * `unshare` with them, and `chroot` inside them. So this profile names what stays forbidden, which is what the engine
 * documents as blocked by default, less those four. https://docs.docker.com/engine/security/seccomp/
 */
const forbidden = {
  'kernel modules and other kernels': [
    'create_module',
    'delete_module',
    'finit_module',
    'init_module',
    'query_module',
    'get_kernel_syms',
    'kexec_file_load',
    'kexec_load',
    'reboot',
  ],
  'the kernel observed and extended': [
    'bpf',
    'perf_event_open',
    'lookup_dcookie',
    'kcmp',
    'syslog',
    'userfaultfd',
    'fanotify_init',
  ],
  'keys, which have no namespace': ['add_key', 'keyctl', 'request_key'],
  mounts: [
    'mount',
    'mount_setattr',
    'move_mount',
    'open_tree',
    'fsconfig',
    'fsmount',
    'fsopen',
    'fspick',
    'pivot_root',
    'umount',
    'umount2',
    'swapon',
    'swapoff',
    'quotactl',
    'quotactl_fd',
  ],
  'namespaces of others': ['setns'],
  'files by handle': ['name_to_handle_at', 'open_by_handle_at'],
  'other processes': ['ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'pidfd_getfd'],
  'memory policy of NUMA nodes': [
    'get_mempolicy',
    'mbind',
    'migrate_pages',
    'move_pages',
    'set_mempolicy',
    'set_mempolicy_home_node',
  ],
  'clocks and names of the machine': [
    'clock_adjtime',
    'clock_settime',
    'settimeofday',
    'stime',
    'sethostname',
    'setdomainname',
    'acct',
    'vhangup',
  ],
  hardware: ['ioperm', 'iopl', 'vm86', 'vm86old'],
  'queues that bypass this filter': ['io_uring_enter', 'io_uring_register', 'io_uring_setup'],
  relics: ['_sysctl', 'nfsservctl', 'personality', 'sysfs', 'uselib', 'ustat'],
}

/** In the engine's format of `--security-opt seccomp=`. */
export const chromiumProfile = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [{ names: Object.values(forbidden).flat().toSorted(), action: 'SCMP_ACT_ERRNO' }],
}
