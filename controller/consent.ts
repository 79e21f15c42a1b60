/** Whether others have said enough of the commits that a head brings for it to widen access, or why not. */
export type Consent = { readonly given: true } | { readonly given: false; readonly because: string }
