#include "store/db.h"

/* spec/harness.md 9 with these additions: the stage 'pretrain'; the reason of an undefined measure, in measure and
 * v_score; the index cell_input_up, because promotion and blocking walk inputs downstream; the index study_cell_key,
 * because a cell is asked for its studies; the index cell_standing, from which counts and medians are read; the table
 * baseline_fact; the views v_missing and v_cost. An array of statements, since a portable string literal ends at 4095
 * bytes. */
#define BASELINE_FACT                                                                                                \
  "CREATE TABLE IF NOT EXISTS baseline_fact("                                                                        \
  "  name TEXT NOT NULL REFERENCES baseline(name), fact TEXT NOT NULL, value TEXT NOT NULL,"                         \
  "  PRIMARY KEY(name, fact)) STRICT, WITHOUT ROWID"

const char db_baseline_fact[] = BASELINE_FACT;

const char *const db_schema[] = {
    "CREATE TABLE study("
    "  study_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  spec_sha256 TEXT NOT NULL, spec_json TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT",

    "CREATE TABLE prompt("
    "  prompt_id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, text TEXT NOT NULL, category TEXT) STRICT",

    "CREATE TABLE cell("
    "  key TEXT PRIMARY KEY CHECK(length(key)=64), key_version INTEGER NOT NULL,"
    "  stage TEXT NOT NULL CHECK(stage IN('prepare','pretrain','train','sample','score')),"
    "  spec_json TEXT NOT NULL, priority INTEGER NOT NULL DEFAULT 100,"
    "  state TEXT NOT NULL DEFAULT 'waiting'"
    "    CHECK(state IN('waiting','ready','running','done','failed','blocked','skipped')),"
    "  tries INTEGER NOT NULL DEFAULT 0, max_tries INTEGER NOT NULL DEFAULT 2,"
    "  lease_owner TEXT, lease_until_ms INTEGER,"
    "  done_attempt_id INTEGER REFERENCES attempt(attempt_id)) STRICT",
    "CREATE INDEX cell_claim ON cell(state, priority, key)",

    "CREATE TABLE cell_input("
    "  key TEXT NOT NULL REFERENCES cell(key), role TEXT NOT NULL,"
    "  input_key TEXT REFERENCES cell(key), input_sha256 TEXT,"
    "  PRIMARY KEY(key, role)) STRICT, WITHOUT ROWID",
    "CREATE INDEX cell_input_up ON cell_input(input_key)",

    "CREATE TABLE study_cell("
    "  study_id INTEGER NOT NULL REFERENCES study(study_id), key TEXT NOT NULL REFERENCES cell(key),"
    "  variant TEXT NOT NULL, train_seed INTEGER, sample_seed INTEGER, prompt_id TEXT REFERENCES prompt(prompt_id),"
    "  axes_json TEXT NOT NULL, PRIMARY KEY(study_id, key)) STRICT, WITHOUT ROWID",
    "CREATE INDEX study_cell_variant ON study_cell(study_id, variant, prompt_id, train_seed, sample_seed)",
    "CREATE INDEX study_cell_key ON study_cell(key)",

    "CREATE TABLE build("
    "  build_id TEXT PRIMARY KEY, git_sha TEXT, git_dirty INTEGER NOT NULL CHECK(git_dirty IN(0,1)),"
    "  diff_sha256 TEXT, binary_sha256 TEXT NOT NULL, compiler TEXT, flags TEXT, cuda TEXT,"
    "  libs_json TEXT NOT NULL) STRICT",

    "CREATE TABLE host("
    "  host_id TEXT PRIMARY KEY, os TEXT, kernel TEXT, cpu TEXT, ncpu INTEGER, ram_bytes INTEGER,"
    "  gpu_json TEXT NOT NULL, scheduler_json TEXT) STRICT",

    "CREATE TABLE attempt("
    "  attempt_id INTEGER PRIMARY KEY, attempt_uuid TEXT NOT NULL UNIQUE, key TEXT NOT NULL REFERENCES cell(key),"
    "  n INTEGER NOT NULL, state TEXT NOT NULL CHECK(state IN('running','done','failed','lost','cancelled')),"
    "  fail_class TEXT CHECK(fail_class IN('config','oom_host','oom_gpu','timeout','preempted','signal','nan_loss',"
    "    'io','metric','internal')),"
    "  fail_msg TEXT, exit_code INTEGER, term_signal INTEGER, started_ms INTEGER NOT NULL, ended_ms INTEGER,"
    "  heartbeat_ms INTEGER, build_id TEXT REFERENCES build(build_id), host_id TEXT REFERENCES host(host_id),"
    "  resumed_from_step INTEGER, peak_rss_bytes INTEGER, peak_vram_bytes INTEGER, gpu_ms INTEGER, log_path TEXT,"
    "  UNIQUE(key, n)) STRICT",

    "CREATE TABLE artifact("
    "  sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, bytes INTEGER NOT NULL, rel_path TEXT NOT NULL,"
    "  media_json TEXT) STRICT",
    "CREATE TABLE attempt_artifact("
    "  attempt_id INTEGER NOT NULL REFERENCES attempt(attempt_id), role TEXT NOT NULL,"
    "  sha256 TEXT NOT NULL REFERENCES artifact(sha256), PRIMARY KEY(attempt_id, role)) STRICT, WITHOUT ROWID",

    "CREATE TABLE metric_def("
    "  metric TEXT NOT NULL, version INTEGER NOT NULL,"
    "  direction TEXT NOT NULL CHECK(direction IN('up','down','none')), unit TEXT, lo REAL, hi REAL,"
    "  plane TEXT NOT NULL CHECK(plane IN('rgb','alpha','joint','composite','system')),"
    "  needs_ref INTEGER NOT NULL CHECK(needs_ref IN(0,1)), doc TEXT NOT NULL,"
    "  PRIMARY KEY(metric, version)) STRICT, WITHOUT ROWID",
    "CREATE TABLE measure("
    "  attempt_id INTEGER NOT NULL REFERENCES attempt(attempt_id), metric TEXT NOT NULL, version INTEGER NOT NULL,"
    "  scope TEXT NOT NULL CHECK(scope IN('set','video','frame')), idx INTEGER NOT NULL DEFAULT -1,"
    "  backdrop TEXT NOT NULL DEFAULT '', value REAL,"
    "  value_kind TEXT NOT NULL CHECK(value_kind IN('finite','inf','-inf','nan','undefined')), reason TEXT,"
    "  n INTEGER NOT NULL DEFAULT 1,"
    "  CHECK((value_kind='finite') = (value IS NOT NULL)),"
    "  CHECK((value_kind='undefined') = (reason IS NOT NULL)),"
    "  PRIMARY KEY(attempt_id, metric, version, scope, idx, backdrop),"
    "  FOREIGN KEY(metric, version) REFERENCES metric_def(metric, version)) STRICT, WITHOUT ROWID",

    "CREATE TABLE baseline("
    "  name TEXT PRIMARY KEY, study_id INTEGER NOT NULL REFERENCES study(study_id), git_sha TEXT,"
    "  note TEXT NOT NULL, created_ms INTEGER NOT NULL) STRICT",
    "CREATE TABLE baseline_value("
    "  name TEXT NOT NULL REFERENCES baseline(name), metric TEXT NOT NULL, version INTEGER NOT NULL,"
    "  variant TEXT NOT NULL, prompt_id TEXT NOT NULL DEFAULT '', train_seed INTEGER NOT NULL DEFAULT -1,"
    "  sample_seed INTEGER NOT NULL DEFAULT -1, value REAL, value_kind TEXT NOT NULL,"
    "  PRIMARY KEY(name, metric, version, variant, prompt_id, train_seed, sample_seed)) STRICT, WITHOUT ROWID",

    BASELINE_FACT,

    "CREATE VIEW v_score AS"
    "  SELECT s.name AS study, sc.variant, sc.prompt_id, sc.train_seed, sc.sample_seed, m.metric, m.version,"
    "         m.backdrop, m.value, m.value_kind, m.reason, d.direction, a.attempt_id, a.build_id, a.host_id"
    "  FROM measure m JOIN metric_def d USING(metric, version) JOIN attempt a USING(attempt_id)"
    "  JOIN cell c ON c.key=a.key AND c.done_attempt_id=a.attempt_id"
    "  JOIN study_cell sc ON sc.key=c.key JOIN study s USING(study_id) WHERE m.scope='video'",
    "CREATE VIEW v_missing AS"
    "  SELECT s.name AS study, c.stage, sc.variant, sc.prompt_id, sc.train_seed, sc.sample_seed, c.key, c.state,"
    "         a.fail_class, a.fail_msg"
    "  FROM study_cell sc JOIN study s USING(study_id) JOIN cell c ON c.key=sc.key"
    "  LEFT JOIN attempt a ON a.key=c.key AND a.n=(SELECT max(n) FROM attempt WHERE key=c.key)"
    "  WHERE c.state<>'done'",
    "CREATE VIEW v_cost AS"
    "  SELECT s.name AS study, sc.variant, c.stage, count(*) AS attempts, sum(a.ended_ms-a.started_ms) AS wall_ms,"
    "         sum(a.gpu_ms) AS gpu_ms, max(a.peak_rss_bytes) AS peak_rss_bytes,"
    "         max(a.peak_vram_bytes) AS peak_vram_bytes"
    "  FROM study_cell sc JOIN study s USING(study_id) JOIN cell c ON c.key=sc.key JOIN attempt a ON a.key=c.key"
    "  WHERE a.ended_ms IS NOT NULL GROUP BY s.name, sc.variant, c.stage",
    NULL,
};

#define FACT(name) " max(iif(m.metric=w.metric || '#" name "', m.value, NULL)) AS " name ","
const char db_additions[] =
    "CREATE INDEX IF NOT EXISTS cell_standing ON cell(stage, state, key, done_attempt_id, lease_until_ms);"
    "CREATE VIEW IF NOT EXISTS v_set AS"
    "  SELECT s.name AS study, w.variant, w.train_seed, w.metric, w.against, c.state, a.fail_class,"
    "         max(iif(m.metric=w.metric, m.version, NULL)) AS version,"
    "         max(iif(m.metric=w.metric, m.value, NULL)) AS value,"
    "         max(iif(m.metric=w.metric, m.value_kind, NULL)) AS value_kind,"
    "         max(iif(m.metric=w.metric, m.reason, NULL)) AS reason,"
    "         max(iif(m.metric=w.metric, m.n, NULL)) AS n," FACT("n_against") FACT("undefined")
        FACT("undefined_against") FACT("p") FACT("null_mean") FACT("null_sd") FACT("null_lo") FACT("null_hi")
            FACT("permutations") " c.key"
                                 "  FROM (SELECT study_id, key, variant, train_seed, json_extract(axes_json, "
                                 "'$.set') AS metric,"
                                 "               json_extract(axes_json, '$.against') AS against FROM study_cell) w"
                                 "  JOIN study s USING(study_id) JOIN cell c ON c.key=w.key"
                                 "  LEFT JOIN attempt a ON a.key=c.key AND a.n=(SELECT max(n) FROM attempt WHERE "
                                 "key=c.key)"
                                 "  LEFT JOIN measure m ON m.attempt_id=c.done_attempt_id AND m.scope='set'"
                                 "  WHERE w.metric IS NOT NULL GROUP BY s.study_id, c.key";

const char db_block_sql[] =
    "WITH RECURSIVE down(key) AS ("
    "  SELECT i.key FROM cell u JOIN cell_input i ON i.input_key=u.key WHERE u.state IN('failed','blocked','skipped')"
    "  UNION SELECT i.key FROM down JOIN cell_input i ON i.input_key=down.key)"
    " UPDATE cell SET state='blocked' WHERE state IN('waiting','ready') AND key IN (SELECT key FROM down)";

int db_settle(store *s, err *e) {
  int rc = OK;
  TRY(db_exec(s, e, "UPDATE cell SET state='waiting' WHERE state IN('ready','blocked')"));
  TRY(db_exec(s, e, db_block_sql));
  TRY(db_exec(s, e,
              "UPDATE cell SET state='ready' WHERE state='waiting' AND NOT EXISTS("
              "  SELECT 1 FROM cell_input i JOIN cell u ON u.key=i.input_key"
              "  WHERE i.key=cell.key AND u.state<>'done')"));
out:
  return rc;
}
