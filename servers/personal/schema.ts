/** Two of each table: `main` is what tools ask, `stage` holds a file while it is read. */
const tables = {
  listen:
    'at REAL NOT NULL, day TEXT NOT NULL, song INTEGER NOT NULL, track INTEGER NOT NULL, seconds REAL, source TEXT NOT NULL, rank INTEGER NOT NULL, counted INTEGER NOT NULL',
  activity:
    'at REAL NOT NULL, day TEXT NOT NULL, sport TEXT NOT NULL, name TEXT NOT NULL, metres REAL, moving REAL, elapsed REAL, climb REAL, heart REAL, max_heart REAL, kcal REAL, note TEXT NOT NULL, source TEXT NOT NULL, rank INTEGER NOT NULL',
  film: 'list TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, year INTEGER, day TEXT NOT NULL, rating REAL, rewatch INTEGER NOT NULL, tags TEXT NOT NULL, review TEXT NOT NULL',
  game: 'appid INTEGER NOT NULL, name TEXT NOT NULL, minutes REAL NOT NULL, recent REAL NOT NULL, last REAL',
  weight: 'at REAL NOT NULL, day TEXT NOT NULL, kg REAL NOT NULL, fat REAL, note TEXT NOT NULL, source TEXT NOT NULL',
} as const

export type TableName = keyof typeof tables

export const tableNames: readonly TableName[] = ['listen', 'activity', 'film', 'game', 'weight']

const made = tableNames.flatMap((name) =>
  ['main', 'stage'].map((schema) => `CREATE TABLE ${schema}.${name} (file INTEGER NOT NULL, ${tables[name]});`),
)

/**
 * `activities` has each activity once, although a watch, its maker and another service may all tell of it: what begins
 * within five minutes is one, told by whoever tells most. `diary` has reviews beside the diary's own lines, each once.
 * `games` has the latest that is known of each.
 */
export const schema = `
ATTACH ':memory:' AS stage;
${made.join('\n')}
CREATE TABLE song (
  id INTEGER PRIMARY KEY, artist TEXT NOT NULL, title TEXT NOT NULL, album TEXT NOT NULL,
  artist_key TEXT NOT NULL, track_key TEXT NOT NULL, album_key TEXT NOT NULL, track INTEGER NOT NULL,
  UNIQUE (artist, title, album)
);
CREATE INDEX listen_day ON listen (day);
CREATE INDEX listen_file ON listen (file);
CREATE INDEX listen_track ON listen (track, at);
CREATE INDEX song_key ON song (artist_key, track_key);
CREATE INDEX song_track ON song (track);
CREATE INDEX activity_at ON activity (at);
CREATE VIEW activities AS
  SELECT * FROM activity AS own WHERE NOT EXISTS (
    SELECT 1 FROM activity AS other
    WHERE other.at BETWEEN own.at - 300 AND own.at + 300 AND other.rowid <> own.rowid
      AND (other.rank < own.rank
        OR (other.rank = own.rank AND other.sport = own.sport AND other.at = own.at AND other.rowid < own.rowid)));
CREATE VIEW diary AS
  SELECT key, max(name) AS name, year, day, max(rating) AS rating, max(rewatch) AS rewatch, max(tags) AS tags,
    max(review) AS review
  FROM film WHERE list IN ('diary', 'reviews') GROUP BY key, year, day;
CREATE VIEW films AS
  SELECT key, max(name) AS name, year,
    coalesce(max(CASE WHEN list = 'ratings' THEN rating END), max(rating)) AS rating,
    count(DISTINCT CASE WHEN list IN ('diary', 'reviews') THEN day END) AS times,
    max(CASE WHEN list IN ('diary', 'reviews') THEN day END) AS last,
    max(list = 'watchlist') AS wanted, max(list <> 'watchlist') AS seen, max(review) AS review
  FROM film GROUP BY key, year;
CREATE VIEW games AS
  SELECT appid, max(name) AS name, max(minutes) AS minutes, max(recent) AS recent, max(last) AS last
  FROM game GROUP BY appid;
`

/** What a play must have lasted to count. */
export const leastSeconds = 30

/**
 * A play counts if it lasted half a minute, or nobody says how long it lasted; and once, although two services may tell
 * of it, one when it began and the other when it ended.
 */
export const recount = `
DELETE FROM song WHERE id NOT IN (SELECT song FROM listen);
UPDATE listen SET counted = coalesce(seconds, ${leastSeconds}) >= ${leastSeconds} AND NOT EXISTS (
  SELECT 1 FROM listen AS other
  WHERE other.track = listen.track AND other.at BETWEEN listen.at - 3600 AND listen.at + 3600
    AND ((other.rank = listen.rank AND other.at = listen.at AND other.rowid < listen.rowid)
      OR (other.rank < listen.rank
        AND (abs(other.at - listen.at) <= 60
          OR abs(listen.at + listen.seconds - other.at) <= 60
          OR abs(other.at + other.seconds - listen.at) <= 60))));
`
