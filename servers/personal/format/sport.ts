/** What activities are called, in the languages that accounts are often kept in. */
const words: Readonly<Record<string, readonly string[]>> = {
  run: [
    'run',
    'running',
    'lauf',
    'laufen',
    'course',
    'courseàpied',
    'carrera',
    'correr',
    'corsa',
    'hardlopen',
    'corrida',
  ],
  'trail run': ['trailrun', 'trailrunning', 'traillauf', 'trail', 'ultrarun'],
  'treadmill run': ['treadmillrunning', 'treadmill', 'indoorrunning', 'virtualrun', 'laufbandtraining', 'laufband'],
  ride: [
    'ride',
    'cycling',
    'biking',
    'roadbiking',
    'roadcycling',
    'radfahrt',
    'radfahren',
    'rennradfahren',
    'fahrt',
  ].concat(['sortieàvélo', 'vélo', 'cyclisme', 'ciclismo', 'bicicleta', 'giro', 'fietsen', 'fietsrit', 'pedalada']),
  'mountain bike ride': ['mountainbikeride', 'mountainbiking', 'mountainbiken', 'mountainbikefahrt'],
  'gravel ride': ['gravelride', 'gravelcycling', 'gravelunpavedcycling'],
  'e-bike ride': ['ebikeride', 'ebiking', 'ebikefahrt', 'emountainbikeride'],
  'indoor ride': ['virtualride', 'indoorcycling', 'indoorradfahren', 'spinning', 'virtuelleradfahrt'],
  swim: ['swim', 'swimming', 'schwimmen', 'natation', 'natación', 'nuoto', 'zwemmen', 'natação'],
  'pool swim': ['lapswimming', 'poolswim', 'poolswimming', 'schwimmbadschwimmen'],
  'open water swim': ['openwaterswimming', 'openwater', 'freiwasserschwimmen'],
  walk: [
    'walk',
    'walking',
    'spaziergang',
    'gehen',
    'marche',
    'caminata',
    'caminar',
    'camminata',
    'wandeling',
    'caminhada',
  ],
  hike: ['hike', 'hiking', 'wanderung', 'wandern', 'randonnée', 'senderismo', 'escursione', 'escursionismo', 'hiken'],
  row: ['rowing', 'rudern', 'indoorrowing', 'virtualrow', 'aviron', 'remo'],
  strength: ['weighttraining', 'strengthtraining', 'traditionalstrengthtraining', 'functionalstrengthtraining'].concat([
    'krafttraining',
    'musculation',
  ]),
  yoga: ['yoga'],
  workout: [
    'workout',
    'training',
    'cardio',
    'indoorcardio',
    'highintensityintervaltraining',
    'hiit',
    'other',
    'generic',
  ],
  ski: ['alpineski', 'downhillskiing', 'alpineskiing', 'skiing', 'skifahren', 'resortskiing'],
  'cross-country ski': ['nordicski', 'crosscountryskiing', 'skilanglauf', 'langlauf'],
}

const sports: ReadonlyMap<string, string> = new Map(
  Object.entries(words).flatMap(([sport, names]) => [
    [bare(sport), sport] as const,
    ...names.map((name) => [bare(name), sport] as const),
  ]),
)

function bare(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[^\p{L}\p{N}]/gu, '')
    .toLowerCase()
}

/** One word for what services and languages call differently; what is unknown keeps its own name, in small letters. */
export function sportOf(name: string): string {
  const own = name.replace(/^HKWorkoutActivityType/, '')
  return (
    sports.get(bare(own)) ??
    own
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .replaceAll('_', ' ')
      .trim()
      .toLowerCase()
  )
}

/** Whether distances are told in metres where those of other sports are in kilometres. */
export function isInWater(sport: string): boolean {
  return sport.includes('swim')
}
