/* Study files: settings, language, every problem with its place, expansion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "media/world.h"
#include "scratch.h"
#include "study/study.h"

/* --- helpers -----------------------------------------------------------------------------------------------------
 */

typedef struct loaded {
  study *s; /* NULL with errors */
  text problems;
  int64_t errors;
  int rc;
} loaded;

static loaded load(const study_input *in) {
  loaded l = {0};
  problems p = {0};
  err e = {0};
  l.rc = study_load(&e, in, &p, &l.s);
  problems_print(&p, &l.problems);
  text_add(&l.problems, "");
  l.errors = p.errors;
  if (l.rc == OK) assert_non_null(l.s);
  if (l.rc != OK) {
    assert_null(l.s);
    assert_int_equal(l.rc, E_CONFIG);
    assert_int_equal(e.code, E_CONFIG);
  }
  problems_free(&p);
  return l;
}

static loaded load_text(const char *contents) {
  scratch_write("s.json", contents);
  return load(&(study_input){.file = scratch_path(0, "s.json"), .home = "configs"});
}

static void drop(loaded *l) {
  study_free(l->s);
  text_free(&l->problems);
}

static study *good(loaded *l) {
  if (!l->s) fail_msg("unexpected problems:\n%s", l->problems.p ? l->problems.p : "");
  return l->s;
}

static void has(const loaded *l, const char *part) {
  if (!l->problems.p || !strstr(l->problems.p, part))
    fail_msg("wanted: %s\ngot:\n%s", part, l->problems.p ? l->problems.p : "nothing");
}

/* One study with `extra` members, in which `base` and `variants` can be chosen. */
static const char *with(const char *base, const char *variants, const char *extra) {
  static char s[8192];
  snprintf(s, sizeof s,
           "{\"schema\": 1, \"study\": \"t\",\n\"base\": %s,\n\"variants\": %s,\n"
           "\"prompts\": {\"list\": [{\"id\": \"p1\", \"text\": \"one\"}, {\"id\": \"p2\", \"text\": \"two\"}]},\n"
           "\"metrics\": [\"true_iou_gain\", \"rgb_rmse_base\"]%s%s}\n",
           base, variants, extra[0] ? ",\n" : "", extra);
  return s;
}

static int row_of(const study *s, const char *name) {
  for (int i = 0; i < s->n_rows; i++)
    if (strcmp(s->rows[i].name, name) == 0) return i;
  fail_msg("no row '%s'", name);
  return -1;
}

static double number_of(const study *s, const char *row, const char *path) {
  assert_true(spec_find(path) >= 0);
  return s->rows[row_of(s, row)].value[spec_find(path)].v->num;
}

static int64_t points_of(const study *s, const char *row) {
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_points; i++) n += s->points[i].row == row_of(s, row);
  return n;
}

/* --- the table ---------------------------------------------------------------------------------------------------
 */

static void table_is_sound(void **state) {
  (void)state;
  err e = {0};
  text help = {0};
  int n = 0;
  for (const setting *s = spec_settings(); s->path; s++, n++) {
    json *initial = NULL, *again = NULL;
    text why = {0};
    assert_int_equal(spec_find(s->path), n);
    assert_non_null(s->help);
    assert_true(s->stages != 0 && s->stages < 2 * SPEC_IMPORT);
    assert_true(s->initial || s->home != HOME_NONE);
    assert_int_equal(s->kind == SETTING_FILE && s->stages != SPEC_IMPORT, s->role != NULL);
    assert_int_equal(spec_default(&e, s, &initial), OK);
    assert_int_equal(spec_value(&e, s, initial, &again, &why), OK); /* a default obeys its own range */
    json_free(initial);
    json_free(again);
    text_free(&why);
  }
  assert_int_equal(n, spec_count());
  assert_true(n > 50 && n <= SPEC_SETTINGS);
  assert_int_equal(spec_help(&e, &help), OK);
  assert_non_null(strstr(help.p, "train.lr"));
  assert_non_null(strstr(help.p, "ddim | dpm | euler"));
  text_free(&help);
}

/* The words of a choice stand in the order of the engine's enum, and are the engine's own words. */
static void choices_are_the_engines(void **state) {
  (void)state;
  const setting *sampler = &spec_settings()[spec_find("sample.sampler")];
  const setting *space = &spec_settings()[spec_find("sample.spacing")];
  const setting *cfg = &spec_settings()[spec_find("sample.cfg")];
  for (int i = 0; sampler->choices[i]; i++) assert_string_equal(sampler->choices[i], sampler_name((sampler_kind)i));
  for (int i = 0; space->choices[i]; i++) assert_string_equal(space->choices[i], spacing_name((spacing)i));
  for (int i = 0; cfg->choices[i]; i++) assert_string_equal(cfg->choices[i], cfg_name((cfg_kind)i));
  const setting *set = &spec_settings()[spec_find("data.set")];
  for (int i = 0; set->choices[i]; i++) {
    err e = {0};
    world_dist d;
    assert_int_equal(world_dist_find(&e, set->choices[i], &d), OK);
  }
}

/* A spec with the given values of a section, defaults for the rest. */
static json *spec_with(stage st, const char *path, const char *value) {
  err e = {0};
  json *spec = json_new(JSON_OBJECT);
  for (const setting *s = spec_settings(); s->path; s++) {
    json *v = NULL;
    text why = {0};
    if (s->neutral || !(s->stages & (1u << st))) continue;
    int rc = path && strcmp(path, s->path) == 0 ? spec_value_text(&e, s, value, &v, &why) : spec_default(&e, s, &v);
    assert_int_equal(rc, OK);
    assert_int_equal(spec_put(&e, spec, s->path, v), OK);
    text_free(&why);
  }
  assert_int_equal(spec_put(&e, spec, "train_seed", json_new_number(0)), OK);
  return spec;
}

static void same_train(const train_config *a, const train_config *b) {
  assert_int_equal(a->steps, b->steps);
  assert_int_equal(a->batch, b->batch);
  assert_int_equal(a->warmup, b->warmup);
  assert_int_equal(a->objective, b->objective);
  assert_int_equal(a->stratified, b->stratified);
  assert_int_equal(a->shared_noise, b->shared_noise);
  assert_int_equal(a->rank, b->rank);
  assert_int_equal(a->checkpoint_every, b->checkpoint_every);
  const double x[] = {a->lr,   a->domain_lr, a->muon_lr, a->beta1, a->beta2, a->eps,       a->decay,
                      a->clip, a->hold,      a->floor,   a->ema,   a->gamma, a->snr_shift, a->caption_dropout};
  const double y[] = {b->lr,   b->domain_lr, b->muon_lr, b->beta1, b->beta2, b->eps,       b->decay,
                      b->clip, b->hold,      b->floor,   b->ema,   b->gamma, b->snr_shift, b->caption_dropout};
  assert_memory_equal(x, y, sizeof x);
}

static void specs_reach_the_engine(void **state) {
  (void)state;
  err e = {0};
  train_config want = train_defaults(0), got = {0};
  assert_true(want.steps > 0 && want.lr > 0);
  json *spec = spec_with(STAGE_TRAIN, NULL, NULL);
  assert_int_equal(spec_train_config(&e, spec, NULL, STAGE_TRAIN, &got), OK);
  same_train(&got, &want);
  json_free(spec);
  spec = spec_with(STAGE_TRAIN, "train.noise", "shared");
  json *hints = json_new(JSON_OBJECT);
  assert_int_equal(spec_put(&e, hints, "train.checkpoint_every", json_new_number(7)), OK);
  assert_int_equal(spec_train_config(&e, spec, hints, STAGE_TRAIN, &got), OK);
  want.shared_noise = 1;
  want.checkpoint_every = 7;
  same_train(&got, &want);
  json_free(spec);
  json_free(hints);
  spec = spec_with(STAGE_PRETRAIN, NULL, NULL);
  want = train_defaults(1);
  assert_int_equal(spec_train_config(&e, spec, NULL, STAGE_PRETRAIN, &got), OK);
  same_train(&got, &want);
  json_free(spec);
  spec = spec_with(STAGE_SAMPLE, "sample.cfg", "dynamic-fixed");
  sample_config s = {0}, d = sample_defaults();
  assert_int_equal(spec_sample_config(&e, spec, &s), OK);
  assert_int_equal(s.cfg, CFG_DYNAMIC_FIXED);
  assert_int_equal(s.steps, d.steps);
  assert_true(s.guidance == d.guidance && s.snr_shift == d.snr_shift);
  json_free(spec);
}

/* A stage can only read what it declares: what is missing is an error, never a default. */
static void undeclared_settings_are_refused(void **state) {
  (void)state;
  err e = {0};
  double v;
  train_config t;
  json *spec = spec_with(STAGE_SAMPLE, NULL, NULL);
  assert_int_equal(spec_number(&e, spec, "train.lr", &v), E_CONFIG);
  assert_non_null(strstr(e.text, "train.lr"));
  err_clear(&e);
  assert_int_equal(spec_train_config(&e, spec, NULL, STAGE_TRAIN, &t), E_CONFIG);
  json_free(spec);
}

static void noise_is_of_seed_and_prompt(void **state) {
  (void)state;
  assert_true(spec_noise_seed(0, "a") == spec_noise_seed(0, "a"));
  assert_true(spec_noise_seed(0, "a") != spec_noise_seed(1, "a"));
  assert_true(spec_noise_seed(0, "a") != spec_noise_seed(0, "b"));
}

/* --- the language ------------------------------------------------------------------------------------------------
 */

static void values_and_order(void **state) {
  (void)state;
  loaded l = load_text(with("{\"//\": \"note\", \"train\": {\"steps\": 12, \"//\": 1}, \"sample.guidance\": 4}",
                            "{\"b\": \"batch\", \"//\": \"x\", \"a\": {\"design\": \"ours\", \"train.steps\": 30,"
                            " \"sample\": {\"steps\": 10}}, \"base\": \"base\"}",
                            "\"reference_variant\": \"a\", \"resources\": {\"train\": {\"minutes\": 5}},"
                            " \"not_in_key\": [\"resources\", \"train.checkpoint_every\"],"
                            " \"matrix\": {\"axes\": {\"train_seed\": [0, 1], \"sample_seed\": {\"count\": 2,"
                            " \"from\": 100}}}"));
  study *s = good(&l);
  assert_int_equal(s->n_rows, 3);
  assert_string_equal(s->rows[0].name, "b");
  assert_string_equal(s->rows[1].name, "a");
  assert_int_equal(s->reference, 1);
  assert_true(number_of(s, "b", "train.steps") == 12);
  assert_true(number_of(s, "a", "train.steps") == 30);
  assert_true(number_of(s, "a", "sample.steps") == 10);
  assert_true(number_of(s, "base", "sample.guidance") == 4);
  assert_true(number_of(s, "b", "resources.train.minutes") == 5);
  assert_true(number_of(s, "b", "train.batch") == (double)train_defaults(0).batch);
  assert_true(s->rows[0].trains && s->rows[1].trains && !s->rows[2].trains);
  /* row, train seed, sample seed, prompt; the base model has no train seed */
  assert_int_equal(s->n_points, 2 * 2 * 2 + 2 * 2 * 2 + 2 * 2);
  const study_point want[] = {{0, 0, 0, 100}, {0, 1, 0, 100}, {0, 0, 0, 101}, {0, 1, 0, 101}, {0, 0, 1, 100}};
  for (int i = 0; i < 5; i++) assert_memory_equal(&s->points[i], &want[i], sizeof want[i]);
  assert_int_equal(s->points[16].train_seed, SEED_NONE);
  drop(&l);
}

static void seed_zero_is_a_seed(void **state) {
  (void)state;
  loaded l = load_text(with("{\"data\": {\"seed\": 0}}", "{\"a\": \"ours\"}",
                            "\"matrix\": {\"axes\": {\"train_seed\": 0, \"sample_seed\": [0, \"9223372036854775807\","
                            " 9007199254740991]}}"));
  study *s = good(&l);
  assert_int_equal(s->n_points, 6);
  assert_int_equal(s->points[0].train_seed, 0);
  assert_int_equal(s->points[0].sample_seed, 0);
  assert_true(s->points[2].sample_seed == INT64_MAX);
  assert_true(s->points[4].sample_seed == INT64_C(9007199254740991));
  assert_true(number_of(s, "a", "data.seed") == 0);
  drop(&l);
}

static void files_extend_files(void **state) {
  (void)state;
  scratch_write("lib/common.json",
                "{\"schema\": 1, \"study\": \"common\", \"base\": {\"train\": {\"steps\": 5, \"batch\": 2}},\n"
                "\"variants\": {\"a\": \"ours\", \"b\": \"batch\", \"c\": \"latent\"},\n"
                "\"prompts\": {\"file\": \"p.jsonl\"}, \"metrics\": [\"true_iou\"],\n"
                "\"matrix\": {\"axes\": {\"train_seed\": [3], \"sample_seed\": [1, 2]}}}");
  scratch_write("lib/p.jsonl",
                "{\"id\": \"x\", \"text\": \"a thing\"}\n\n{\"id\": \"y\", \"text\": \"a/b\\n\xf0\x9f\x98\x80\"}\n");
  loaded l = load_text("{\"schema\": 1, \"study\": \"mine\", \"extends\": [\"lib/common.json\"],\n"
                       "\"base\": {\"train\": {\"steps\": 7}},\n"
                       "\"variants\": {\"c\": null, \"b\": \"null\", \"d\": \"predict\"},\n"
                       "\"matrix\": {\"axes\": {\"sample_seed\": [9]}}}");
  study *s = good(&l);
  assert_string_equal(s->name, "mine");
  assert_int_equal(s->n_rows, 3);
  assert_string_equal(s->rows[1].name, "b");
  assert_true(design_is(&s->rows[1].design, "start_noise", "independent"));
  assert_string_equal(s->rows[2].name, "d");
  assert_true(number_of(s, "a", "train.steps") == 7 && number_of(s, "a", "train.batch") == 2);
  assert_int_equal(s->n_prompts, 2);
  assert_string_equal(s->prompts[1].text, "a/b\n\xf0\x9f\x98\x80");
  assert_int_equal(s->n_points, 6);
  assert_int_equal(s->points[0].train_seed, 3);
  assert_int_equal(s->points[0].sample_seed, 9);
  drop(&l);
}

static void arguments(void **state) {
  (void)state;
  const char *contents =
      with("{\"data\": {\"kind\": \"folder\", \"folder\": \"${data}/x\", \"clips\": \"${n}\"}}", "{\"a\": \"ours\"}",
           "\"args\": {\"data\": {\"help\": \"clips\"}, \"n\": {\"default\": \"4\"}}");
  scratch_write("s.json", contents);
  const char *args[] = {"data=/some/where"};
  study_input in = {.file = scratch_path(0, "s.json"), .home = "configs", .args = args, .n_args = 1};
  loaded l = load(&in);
  study *s = good(&l);
  assert_string_equal(s->rows[0].value[spec_find("data.folder")].v->str, "/some/where/x");
  assert_true(number_of(s, "a", "data.clips") == 4);
  drop(&l);
  in.n_args = 0;
  l = load(&in);
  assert_int_equal(l.errors, 1);
  has(&l, "s.json:2:");
  has(&l, "argument 'data' is missing: give it on the command line as data=VALUE");
  drop(&l);
  const char *wrong[] = {"dtaa=/x", "data=/y", "train.steps=4"};
  in.args = wrong;
  in.n_args = 3;
  l = load(&in);
  assert_int_equal(l.errors, 2);
  has(&l, "argument 'dtaa' is not known; did you mean 'data'? (known: data, n)");
  has(&l, "'train.steps' is a setting, not an argument: --set train.steps=4");
  drop(&l);
}

static void command_line_wins(void **state) {
  (void)state;
  scratch_write("s.json", with("{\"train\": {\"steps\": 12}}",
                               "{\"a\": \"ours\", \"b\": {\"design\": \"batch\", \"train.steps\": 30}}", ""));
  const char *sets[] = {"train.steps=40", "sample.sampler=dpm", "data.size=[48,48]"};
  study_input in = {.file = scratch_path(0, "s.json"), .home = "configs", .sets = sets, .n_sets = 3};
  loaded l = load(&in);
  study *s = good(&l);
  assert_true(number_of(s, "a", "train.steps") == 40 && number_of(s, "b", "train.steps") == 40);
  assert_string_equal(s->rows[0].value[spec_find("sample.sampler")].v->str, "dpm");
  drop(&l);
  const char *bad[] = {"train.stesp=40", "train.steps=many", "train.steps", "lr=1"};
  in.sets = bad;
  in.n_sets = 4;
  l = load(&in);
  assert_int_equal(l.errors, 4);
  has(&l, "command line: error: setting 'train.stesp' is not known; did you mean 'train.steps'?");
  has(&l, "--set train.steps=many: train.steps wants a whole number from 1 to 1000000000, not a string");
  has(&l, "--set train.steps: wants SETTING=VALUE");
  has(&l, "did you mean 'train.lr'?");
  drop(&l);
}

static void paths_are_relative_to_their_file(void **state) {
  (void)state;
  loaded l = load_text(
      with("{\"model\": {\"weights\": \"../w.bin\", \"vae\": \"/abs/vae.json\"}}",
           "{\"a\": {\"design\": \"ours\", \"model\": {\"weights\": \"pretrain\"}}, \"b\": \"batch\"}", ""));
  study *s = good(&l);
  char want[600];
  snprintf(want, sizeof want, "%s", scratch_path(1, "../w.bin"));
  assert_string_equal(s->rows[1].value[spec_find("model.weights")].v->str, want);
  assert_string_equal(s->rows[0].value[spec_find("model.weights")].v->str, "pretrain");
  assert_string_equal(s->rows[0].value[spec_find("model.vae")].v->str, "/abs/vae.json");
  assert_string_equal(s->rows[0].value[spec_find("model.config")].v->str, "configs/models/tiny.json");
  drop(&l);
}

static void external_folders(void **state) {
  (void)state;
  loaded l =
      load_text(with("{}",
                     "{\"a\": \"external:dir=clips/a,colour=premultiplied\", \"b\": {\"design\": \"external\","
                     " \"external\": {\"dir\": \"b,c=d\"}}, \"c\": \"external:colour=decoded,dir=/abs\", \"d\":"
                     " \"ours\"}",
                     ""));
  study *s = good(&l);
  int dir = spec_find("external.dir");
  assert_string_equal(s->rows[0].value[dir].v->str, scratch_path(0, "clips/a"));
  assert_string_equal(s->rows[1].value[dir].v->str, scratch_path(0, "b,c=d"));
  assert_string_equal(s->rows[2].value[dir].v->str, "/abs");
  assert_string_equal(design_get(&s->rows[0].design, "colour"), "premultiplied");
  assert_string_equal(design_get(&s->rows[1].design, "colour"), "straight");
  static const char *const reads[] = {"data.frames", "data.size", "data.fps", "external.dir"};
  for (int i = 0; i < spec_count(); i++) {
    const setting *q = &spec_settings()[i];
    int mine = 0;
    for (int k = 0; k < 4; k++) mine |= !strcmp(q->path, reads[k]);
    if (!q->neutral) assert_int_equal(study_reads(&s->rows[0], q, STAGE_SAMPLE), mine);
  }
  const setting *own = &spec_settings()[dir], *steps = &spec_settings()[spec_find("sample.steps")];
  assert_true(!study_reads(&s->rows[3], own, STAGE_SAMPLE) && study_reads(&s->rows[3], steps, STAGE_SAMPLE));
  for (int i = 0; i < 3; i++) assert_false(s->rows[i].trains);
  drop(&l);
}

/* --- what is wrong ------------------------------------------------------------------------------------------------
 */

typedef struct wrong {
  const char *base, *variants, *extra;
  int errors;
  const char *part[3];
} wrong;

static const wrong cases[] = {
    {"{}", "{\"a\": \"external\"}", "", 1, {"s.json:3:14: error: design external wants the folder of its clips"}},
    {"{}", "{\"a\": \"external:dir=\"}", "", 1, {"design 'external': option 'dir' is empty"}},
    {"{}", "{\"a\": \"external:dir=x,y\"}", "", 1, {"'y' is not option=value"}},
    {"{}", "{\"a\": \"external:dri=x\"}", "", 1, {"no option 'dri'; did you mean 'dir'?"}},
    {"{}", "{\"a\": \"external:dir=x,colour=stright\"}", "", 1, {"did you mean 'straight'?"}},
    {"{}", "{\"a\": \"externl:dir=x\"}", "", 1, {"did you mean 'external'?"}},
    {"{\"external.dir\": \"x\"}", "{\"a\": \"ours\"}", "", 1, {"external.dir is read only when design=external"}},
    {"{\"train\": {\"setps\": 3}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"s.json:2:20: error: setting 'train.setps' is not known; did you mean 'train.steps'?", "train.floor"}},
    {"{\"trian\": {\"steps\": 3}}", "{\"a\": \"ours\"}", "", 1, {"s.json:2:10: error: setting 'trian' is not known"}},
    {"{\"lr\": 3}", "{\"a\": \"ours\"}", "", 1, {"did you mean 'train.lr'?", "(known: model, data, train"}},
    {"{\"train\": {\"steps\": 2.5}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"s.json:2:20: error: train.steps wants a whole number from 1 to 1000000000, not 2.5"}},
    {"{\"train\": {\"steps\": \"many\"}}", "{\"a\": \"ours\"}", "", 1, {"not a string"}},
    {"{\"train\": {\"lr\": -1}}", "{\"a\": \"ours\"}", "", 1, {"train.lr wants a number from 0 to 10, not -1"}},
    {"{\"train\": {\"steps\": 3}, \"train.steps\": 4}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"train.steps is given twice in this object"}},
    {"{\"train\": 3}", "{\"a\": \"ours\"}", "", 1, {"train wants an object of settings"}},
    {"{\"sample\": {\"sampler\": \"dmp\"}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"sample.sampler wants ddim | dpm | euler, not 'dmp'; did you mean 'dpm'?"}},
    {"{\"data\": {\"size\": [48]}}", "{\"a\": \"ours\"}", "", 1, {"data.size wants [height, width]"}},
    {"{\"data\": {\"frames\": 16}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"clips of the world have 8 frames of 48 x 48 pixels"}},
    {"{\"data\": {\"kind\": \"folder\"}}", "{\"a\": \"ours\"}", "", 1, {"data.kind folder wants data.folder"}},
    {"{\"data\": {\"folder\": \"x\"}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"data.folder is read only when data.kind=folder, and no variant has that"}},
    {"{\"data\": {\"clips\": 0}}", "{\"a\": \"ours\"}", "", 1, {"a world has no end"}},
    {"{\"sample\": {\"sampler\": \"euler\"}}",
     "{\"a\": \"ours\"}",
     "",
     1,
     {"s.json:2:21: error: sample.sampler euler goes with train.objective flow"}},
    {"{\"sample\": {\"steps\": 61}}", "{\"a\": \"ours\"}", "", 1, {"s.json:2:21: error: sample.steps: "}},
    {"{}",
     "{\"a\": \"sequense\"}",
     "",
     1,
     {"s.json:3:14: error: unknown design 'sequense'; did you mean 'sequence'?", "batch-kv"}},
    {"{}", "{\"a\": \"sequence:msk=soft\"}", "", 1, {"has no option 'msk'; did you mean 'mask'?"}},
    {"{}", "{\"a\": \"sequence:mask=sotf\"}", "", 1, {"option 'mask' cannot be 'sotf'; did you mean 'soft'?"}},
    {"{}", "{\"a\": {\"train.steps\": 3}}", "", 1, {"variant 'a' wants a design"}},
    {"{}", "{\"a\": 3}", "", 1, {"variant 'a' wants a design"}},
    {"{}", "{\"a b\": \"ours\"}", "", 1, {"variant name 'a b' must be"}},
    {"{}", "{}", "", 1, {"the study has no variants"}},
    {"{}", "{\"a\": {\"design\": \"ours\", \"train\": {\"stps\": 1}}}", "", 1, {"did you mean 'train.steps'?"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"reference_variant\": \"aa\"",
     1,
     {"variant 'aa' is not known; did you mean 'a'? (known: a)"}},
    {"{}", "{\"a\": \"ours\"}", "\"mtarix\": {}", 1, {"key 'mtarix' is not known; did you mean 'matrix'?"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"pairing\": {\"noise\": \"fresh\", \"share\": [\"prompt\", \"clip\", \"train_seed\"]}",
     3,
     {"noise is \"counter\"", "share lists prompt, sample_seed and train_seed", "share lacks sample_seed"}},
    {"{}", "{\"a\": \"ours\"}", "\"pairing\": {\"by\": 1}", 1, {"key 'by' is not known"}},
    {"{}", "{\"a\": \"ours\"}", "\"pairing\": []", 1, {"pairing wants {\"noise\": \"counter\""}},
    {"{}", "{\"a\": \"ours\"}", "\"gate\": {}", 1, {"gate wants {\"file\": \"RULES.json\"}"}},
    {"{}", "{\"a\": \"ours\"}", "\"gate\": {\"file\": \"r.json\", \"fiel\": 1}", 1, {"key 'fiel' is not known"}},
    {"{}", "{\"a\": \"ours\"}", "\"matrix\": {\"axis\": {}}", 1, {"key 'axis' is not known; did you mean 'axes'?"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"matrix\": {\"axes\": {\"variant\": [\"a\", \"z\"]}}",
     1,
     {"variant 'z' is not known"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"matrix\": {\"axes\": {\"prompt\": [\"p1\", \"p3\"]}}",
     1,
     {"prompt 'p3' is not known; did you mean 'p1'? (known: p1, p2)"}},
    {"{}", "{\"a\": \"ours\"}", "\"matrix\": {\"axes\": {\"train_seed\": [1, 1]}}", 1, {"seed 1 is given twice"}},
    {"{}", "{\"a\": \"ours\"}", "\"matrix\": {\"axes\": {\"train_seed\": [-1]}}", 1, {"a seed is a whole number"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"matrix\": {\"axes\": {\"train_seed\": [9007199254740993]}}",
     1,
     {"larger numbers lose digits in JSON"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"matrix\": {\"axes\": {\"sample_seed\": {\"cont\": 4}}}",
     2,
     {"key 'cont' is not known; did you mean 'count'?", "wants {\"count\": 1 to"}},
    {"{}", "{\"a\": \"ours\"}", "\"primary\": [\"true_iuo\"]", 1, {"true_iou"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"contrasts\": [{\"metric\": \"true_mad\", \"variant\": \"a\"}]",
     2,
     {"the study does not measure 'true_mad'", "a variant against itself"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"not_in_key\": [\"train.lr\"]",
     1,
     {"'train.lr' changes results and cannot be left out of keys"}},
    {"{}",
     "{\"a\": \"ours\"}",
     "\"resources\": {\"train\": {\"gpu\": 1}}",
     1,
     {"did you mean 'resources.train.gpus'?"}},
    {"{\"model\": {\"vae\": \"${x}\"}}", "{\"a\": \"ours\"}", "", 1, {"'${x}' names no argument of this study"}},
    {"{\"train\": {\"steps\": 0}, \"sample\": {\"step\": 4}}",
     "{\"a\": \"seq\", \"b\": \"btach\"}",
     "\"reference_variant\": \"q\"",
     5,
     {"train.steps wants", "did you mean 'sample.steps'?", "did you mean 'batch'?"}}, /* all in one go */
};

static void bad_studies(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const wrong *w = &cases[i];
    loaded l = load_text(with(w->base, w->variants, w->extra));
    if (l.errors != w->errors)
      fail_msg("case %zu: %lld errors, wanted %d:\n%s", i, (long long)l.errors, w->errors, l.problems.p);
    for (int k = 0; k < 3 && w->part[k]; k++) has(&l, w->part[k]);
    drop(&l);
  }
}

/* A study whose list of metrics begins on line 5, column 13 with a metric that is there. */
static loaded with_metrics(const char *more) {
  static char s[2048];
  snprintf(s, sizeof s,
           "{\"schema\": 1, \"study\": \"t\",\n\"variants\": {\"ours\": \"ours\", \"plain\": \"base\"},\n"
           "\"reference_variant\": \"ours\",\n\"prompts\": {\"list\": [\"one\", \"two\"]},\n"
           "\"metrics\": [\"true_iou\",\n%s]}\n",
           more);
  return load_text(s);
}

static void sets_are_entries_of_metrics(void **state) {
  (void)state;
  loaded l = with_metrics("\"rgba_stats_energy\", {\"set\": \"hof_energy:permutations=999,alpha=0\", \"against\":"
                          " \"base\"}, \"color_fit\", {\"set\": \"swd\", \"against\": \"ours\"}, {\"set\": \"swd:"
                          "seed=3,permutations=5\", \"against\": \"data\"}, {\"set\": \"swd\"}");
  static const struct {
    const char *id, *against;
    study_reference reference;
  } want[] = {{"rgba_stats_energy", "data", REFERENCE_DATA},
              {"hof_energy:alpha=0,permutations=999", "base", REFERENCE_BASE},
              {"swd:permutations=19", "ours", REFERENCE_ROW},
              {"swd:seed=3,permutations=5", "data", REFERENCE_DATA},
              {"swd:permutations=19", "data", REFERENCE_DATA}};
  const study *s = good(&l);
  assert_int_equal(s->n_metrics, 2); /* those of clips */
  assert_string_equal(s->metrics[1].id, "color_fit");
  assert_int_equal(s->n_sets, 5);
  for (int i = 0; i < 5; i++) {
    assert_string_equal(s->sets[i].id, want[i].id);
    assert_string_equal(s->sets[i].against, want[i].against);
    assert_int_equal(s->sets[i].reference, want[i].reference);
    assert_int_equal(s->sets[i].row, want[i].reference == REFERENCE_ROW ? 0 : -1);
  }
  assert_int_equal(l.problems.n, 0);
  drop(&l);
}

static void bad_sets(void **state) {
  static const struct {
    const char *entry, *part;
  } bad[] = {
      {"\"hof_enrgy\"", "6:1: error: unknown metric 'hof_enrgy'; did you mean 'hof_energy'?"},
      {"\"true_iuo\"", "unknown metric 'true_iuo'; did you mean 'true_iou'?"},
      {"\"swd:directionz=4\"", "did you mean 'directions'?"},
      {"{\"set\": \"swdd\"}", "6:2: error: unknown score of sets 'swdd'; did you mean 'swd'?"},
      {"{\"set\": \"true_iou\"}", "unknown score of sets 'true_iou'"},
      {"{\"set\": 4}", "set wants the text of a score of sets"},
      {"{\"set\": \"swd\", \"agianst\": \"base\"}", "key 'agianst' is not known; did you mean 'against'?"},
      {"{\"set\": \"swd\",\n \"against\": \"oursd\"}",
       "7:2: error: reference 'oursd' is not known; did you mean 'ours'? (known: data, base, ours, plain)"},
      {"{\"set\": \"swd\", \"against\": [\"ours\"]}", "against wants \"data\", \"base\" or the name of a variant"},
      {"\"swd\", {\"set\": \"swd\", \"against\": \"data\"}", "'swd:permutations=19' against 'data' is given twice"},
      {"\"swd:permutations=0\"", "in a study a score of sets comes with its null"},
      {"\"frechet\"", "'frechet' takes features from files"},
      {"\"color_fit\"], \"primary\": [\"swd\"", "'swd' is a score of sets: it stands in \"metrics\" alone"},
      {"\"swd\"], \"contrasts\": [{\"metric\": \"swd\", \"variant\": \"plain\"}", "has no paired differences"},
      {"{\"it\": \"swd\"}", "a score of sets {\"set\": \"...\", \"against\": \"...\"}"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    loaded l = with_metrics(bad[i].entry);
    if (l.errors != 1) fail_msg("%s: %lld errors:\n%s", bad[i].entry, (long long)l.errors, l.problems.p);
    has(&l, bad[i].part);
    drop(&l);
  }
  loaded l = with_metrics("{\"set\": \"hof_energy\", \"against\": \"base\"}");
  good(&l);
  has(&l, "6:1: warning: the base model's clips have no alpha");
  has(&l, "give it alpha=0");
  drop(&l);
}

typedef struct bad_file {
  const char *contents, *part;
} bad_file;

static void bad_files(void **state) {
  (void)state;
  static const bad_file files[] = {
      {"{\"schema\": 1,\n  \"study\": \"a\",\n  \"study\": \"b\"}", "s.json:3:3"},
      {"{\"schema\": 1,\n  \"base\": {\"train\": {\"steps\": 1, \"steps\": 2}}}", "s.json:2:34"},
      {"{\"schema\": 1,", "s.json:1:"},
      {"[]", "a study is a JSON object"},
      {"{\"schema\": 2}", "\"schema\": 1 is what this build reads"},
      {"{}", "\"schema\": 1 is what this build reads"},
      {"{\"schema\": 1, \"variants\": {\"a\": \"ours\"}}", "the study has no name"},
      {"{\"schema\": 1, \"variants\": {\"a\": \"ours\"}}", "the study has no prompts"},
      {"{\"schema\": 1, \"study\": \"a/b\"}", "the study's name must be"},
      {"{\"schema\": 1, \"extends\": [\"s.json\"]}", "does one extend itself?"},
      {"{\"schema\": 1, \"extends\": [\"none.json\"]}", "none.json"},
      {"{\"schema\": 1, \"extends\": \"none.json\"}", "extends wants a list of paths"},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    loaded l = load_text(files[i].contents);
    assert_null(l.s);
    has(&l, files[i].part);
    drop(&l);
  }
  loaded l = load(&(study_input){.file = scratch_path(0, "absent.json")});
  assert_null(l.s);
  has(&l, "absent.json");
  drop(&l);
}

static loaded load_prompts_file(const char *prompts, const char *extra) {
  char s[1024];
  scratch_write("p.jsonl", prompts);
  snprintf(s, sizeof s,
           "{\"schema\": 1, \"study\": \"t\", \"variants\": {\"a\": \"ours\"}, \"metrics\": [\"true_iou\"],\n"
           "\"prompts\": {\"file\": \"p.jsonl\"%s}}",
           extra);
  return load_text(s);
}

static void bad_prompts(void **state) {
  (void)state;
  static const bad_file files[] = {
      {"{\"id\": \"a\", \"text\": \"x\"}\n\n{\"id\": \"a\", \"text\": \"y\"}\n",
       "p.jsonl:3:1: error: prompt id 'a' is given"},
      {"{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": \"x\"}\n",
       "prompts 'a' and 'b' have the same text"},
      {"{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": }\n", "p.jsonl:2:21: error: "},
      {"{\"id\": \"a\", \"txt\": \"x\"}\n", "p.jsonl:1:1: error: a prompt is"},
      {"{\"id\": \"a\", \"text\": \"x\", \"categroy\": \"y\"}\n", "did you mean 'category'?"},
      {"{\"id\": \"a b\", \"text\": \"x\"}\n", "prompt id 'a b' must be"},
      {"{\"id\": \"a\", \"text\": \"\"}\n", "has 0 bytes of text"},
      {"\n\n", "there is no prompt in it"},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    loaded l = load_prompts_file(files[i].contents, "");
    assert_null(l.s);
    has(&l, files[i].part);
    drop(&l);
  }
  loaded l = load_prompts_file("{\"id\": \"a\", \"text\": \"x\"}\n", ", \"sha256\": \"0000\"");
  has(&l, "the prompt file has sha256 ");
  drop(&l);
}

/* Any byte may be wrong: the answer is a study or problems, and every error has a place or names its cause. */
static void mutations_are_answered(void **state) {
  (void)state;
  const char *seed = with("{\"train\": {\"steps\": \"${n}\"}, \"data.size\": [48, 48]}",
                          "{\"a\": \"ours\", \"b\": {\"design\": \"batch\", \"train.lr\": 1e-3}}",
                          "\"args\": {\"n\": {\"default\": \"4\"}}, \"contrasts\": [{\"metric\": \"rgb_rmse_base\","
                          " \"variant\": \"b\"}], \"matrix\": {\"axes\": {\"train_seed\": [0, \"7\"]},"
                          " \"zip\": [[\"train.lr\", [0.004, 0.002]]], \"one_at_a_time\": {\"train.rank\": [4]},"
                          " \"include\": [{\"variant\": \"b\", \"train_seed\": 3}], \"exclude\": [{\"train.rank\":"
                          " {\"gt\": 3}, \"variant\": \"b\", \"reason\": \"r\"}]}");
  static const char bytes[] = "\"{}[]:,0-.a/$\\x\n";
  char *s = strdup(seed);
  size_t n = strlen(s);
  int refused = 0, count = 0;
  for (size_t at = 0; at < n; at++)
    for (size_t k = at % 5; k < sizeof bytes - 1; k += 5, count++) {
      char old = s[at];
      s[at] = bytes[k];
      loaded l = load_text(s);
      s[at] = old;
      refused += l.rc != OK;
      assert_true(l.rc == OK || l.errors > 0);
      assert_int_equal(l.rc == OK, l.s != NULL);
      drop(&l);
    }
  free(s);
  assert_true(count > 1000 && refused > 0 && refused < count);
}

/* --- expansion ---------------------------------------------------------------------------------------------------
 */

static void zip_multiplies(void **state) {
  (void)state;
  loaded l = load_text(with("{\"train\": {\"lr\": 0.004, \"steps\": 10, \"warmup\": 1}}",
                            "{\"a\": \"ours\", \"b\": \"batch\"}",
                            "\"matrix\": {\"zip\": [[\"train.lr\", [0.004, 0.002], \"train.steps\", [10, 20]],"
                            " [\"sample.guidance\", [3, 5]]]}"));
  study *s = good(&l);
  static const char *const names[] = {"a", "a+sample.guidance=5", "a+train.steps=20+train.lr=0.002",
                                      "a+train.steps=20+train.lr=0.002+sample.guidance=5", "b"};
  assert_int_equal(s->n_points, 2 * 4 * 2);
  for (int i = 0; i < 5; i++) assert_string_equal(s->rows[s->points[2 * i].row].name, names[i]);
  assert_true(number_of(s, names[2], "train.lr") == 0.002 && number_of(s, names[2], "train.steps") == 20);
  assert_int_equal(s->rows[row_of(s, names[3])].declared, 0);
  drop(&l);
  l = load_text(
      with("{}", "{\"a\": \"ours\"}", "\"matrix\": {\"zip\": [[\"train.lr\", [1, 2], \"train.steps\", [1]]]}"));
  has(&l, "train.steps has 1 values, the list before it 2");
  drop(&l);
  l = load_text(with("{}", "{\"a\": \"ours\"}", "\"matrix\": {\"zip\": [[\"train.lr\", [0.001, 0.002]]]}"));
  has(&l, "the reference variant 'a' has no row in the matrix");
  drop(&l);
  l = load_text(with("{}", "{\"a\": \"ours\"}", "\"matrix\": {\"zip\": [[\"model.vae\", [\"x\"]]]}"));
  has(&l, "model.vae is a file: give it in a variant");
  drop(&l);
}

static void one_at_a_time_changes_the_reference(void **state) {
  (void)state;
  loaded l =
      load_text(with("{}", "{\"a\": \"ours\", \"b\": \"batch\"}",
                     "\"reference_variant\": \"b\", \"matrix\": {\"one_at_a_time\": {\"train.rank\": [8, 16, 32],"
                     " \"train.noise\": [\"shared\"]}}"));
  study *s = good(&l);
  assert_int_equal(s->n_rows, 5); /* 16 is b itself */
  assert_string_equal(s->rows[2].name, "b+train.rank=8");
  assert_string_equal(s->rows[4].name, "b+train.noise=shared");
  assert_int_equal(s->n_points, 5 * 2);
  assert_true(s->rows[3].design.v == s->rows[1].design.v);
  drop(&l);
}

static void include_adds(void **state) {
  (void)state;
  loaded l = load_text(with("{}", "{\"a\": \"ours\", \"b\": \"batch\"}",
                            "\"matrix\": {\"axes\": {\"variant\": [\"a\"], \"train_seed\": [0, 1]}, \"include\":"
                            " [{\"variant\": \"a\", \"train_seed\": [1, 3]}, {\"variant\": \"b\", \"train_seed\": 0,"
                            " \"prompt\": \"p2\", \"train.rank\": 4}]}"));
  study *s = good(&l);
  assert_int_equal(points_of(s, "a"), 6); /* seeds 0, 1 and 3, two prompts; seed 1 is not repeated */
  assert_int_equal(points_of(s, "b+train.rank=4"), 1);
  assert_int_equal(points_of(s, "b"), 0);
  assert_int_equal(s->points[s->n_points - 1].prompt, 1);
  drop(&l);
}

static void exclude_takes_away_last(void **state) {
  (void)state;
  loaded l = load_text(
      with("{}", "{\"a\": \"ours\", \"b\": \"batch\"}",
           "\"matrix\": {\"axes\": {\"train_seed\": [0, 1]}, \"one_at_a_time\": {\"train.rank\": [8, 64, 128]},"
           " \"include\": [{\"variant\": \"b\", \"train_seed\": 7}], \"exclude\": ["
           "{\"train.rank\": {\"gt\": 16, \"lt\": 100}, \"reason\": \"too large\"},"
           "{\"variant\": [\"b\"], \"train_seed\": [1, 7], \"prompt\": \"p1\", \"reason\": \"broken\"},"
           "{\"variant\": \"b\", \"train_seed\": 99, \"reason\": \"never\"}]}"));
  study *s = good(&l);
  assert_int_equal(points_of(s, "a+train.rank=64"), 0);
  assert_true(s->rows[row_of(s, "a+train.rank=64")].in_matrix);
  assert_int_equal(points_of(s, "a+train.rank=128"), 4);
  assert_int_equal(points_of(s, "b"), 4);
  assert_int_equal(s->n_excluded, 4 + 2);
  assert_string_equal(s->excluded[0].reason, "too large");
  assert_string_equal(s->excluded[5].reason, "broken");
  assert_int_equal(s->excluded[5].point.train_seed, 7);
  has(&l, "warning: the exclude rule matches nothing");
  drop(&l);
  l = load_text(with("{}", "{\"a\": \"ours\"}",
                     "\"matrix\": {\"exclude\": [{\"variant\": \"a\"}, {\"variant\": \"x\", \"reason\": \"y\"},"
                     " {\"train.rnk\": {\"gtt\": 3}, \"reason\": \"z\"}]}"));
  assert_int_equal(l.errors, 4);
  has(&l, "conditions and a reason");
  has(&l, "variant 'x' is not known");
  has(&l, "did you mean 'train.rank'?");
  has(&l, "key 'gtt' is not known");
  drop(&l);
}

static void matrix_has_a_limit(void **state) {
  (void)state;
  scratch_write("s.json",
                with("{}", "{\"a\": \"ours\"}", "\"matrix\": {\"axes\": {\"sample_seed\": {\"count\": 1000}}}"));
  study_input in = {.file = scratch_path(0, "s.json"), .limit = 1999};
  loaded l = load(&in);
  has(&l, "the matrix has more than 1999 points");
  drop(&l);
  in.limit = 2000;
  l = load(&in);
  assert_int_equal(good(&l)->n_points, 2000);
  drop(&l);
}

static void warnings_do_not_stop(void **state) {
  (void)state;
  loaded l = load_text(with("{\"train\": {\"steps\": 5, \"warmup\": 9}}", "{\"a\": \"ours\", \"b\": \"batch\"}", ""));
  assert_non_null(good(&l));
  has(&l, "s.json:2:20: warning: the warm-up is as long as the run");
  has(&l, "warning: true_iou_gain needs at least two sample seeds");
  assert_int_equal(l.errors, 0);
  assert_null(strstr(strstr(l.problems.p, "warm-up") + 1, "warm-up")); /* once, not once a variant */
  drop(&l);
}

/* --- what the repository ships -----------------------------------------------------------------------------------
 */

static const char *shipped(const char *name) {
  static char path[1024];
  const char *root = getenv("TANDEM_SOURCE");
  if (!root) fail_msg("TANDEM_SOURCE is not set");
  snprintf(path, sizeof path, "%s/%s", root, name);
  return path;
}

static loaded load_shipped(const char *name, const char *const *args, int n) {
  return load(&(study_input){.file = shipped(name), .home = "configs", .args = args, .n_args = n});
}

static void shipped_studies_are_good(void **state) {
  (void)state;
  loaded l = load_shipped("configs/studies/ablation.json", NULL, 0);
  study *s = good(&l);
  assert_int_equal(l.problems.n, 0);
  assert_int_equal(s->n_rows, 11);
  assert_int_equal(s->n_points, 11 * 2 * 32);
  assert_string_equal(s->rows[s->reference].name, "ours");
  assert_int_equal(s->n_contrasts, 7);
  drop(&l);
  l = load_shipped("configs/studies/demo.json", NULL, 0);
  assert_int_equal(good(&l)->n_points, 4 * 2 * 8);
  assert_int_equal(l.problems.n, 0);
  drop(&l);
  l = load_shipped("configs/studies/smoke.json", NULL, 0);
  assert_int_equal(good(&l)->n_points, 3 * 2 * 2);
  assert_int_equal(l.problems.n, 0);
  drop(&l);
  const char *args[] = {"data=/clips"};
  l = load_shipped("configs/studies/emoji.json", args, 1);
  assert_string_equal(good(&l)->rows[0].value[spec_find("data.folder")].v->str, "/clips");
  assert_int_equal(l.problems.n, 0);
  drop(&l);
  l = load_shipped("configs/studies/emoji.json", NULL, 0);
  assert_int_equal(l.errors, 1);
  has(&l, "argument 'data' is missing");
  drop(&l);
}

/* The prompt file is what the generator of the world says. */
static void shipped_prompts_are_the_worlds(void **state) {
  (void)state;
  err e = {0};
  world_prompt want[WORLD_PROMPTS];
  assert_int_equal(world_prompts(&e, want), OK);
  loaded l = load_shipped("configs/studies/ablation.json", NULL, 0);
  study *s = good(&l);
  assert_int_equal(s->n_prompts, WORLD_PROMPTS);
  int in = 0, out = 0;
  for (int i = 0; i < WORLD_PROMPTS; i++) {
    char id[16];
    snprintf(id, sizeof id, want[i].in_domain ? "in-%02d" : "out-%02d", want[i].in_domain ? ++in : ++out);
    assert_string_equal(s->prompts[i].text, want[i].caption);
    assert_string_equal(s->prompts[i].id, id);
    assert_string_equal(s->prompts[i].category, want[i].in_domain ? "in-domain" : "out-of-domain");
  }
  assert_int_equal(in, 12);
  drop(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(table_is_sound),
      cmocka_unit_test(choices_are_the_engines),
      cmocka_unit_test(specs_reach_the_engine),
      cmocka_unit_test(undeclared_settings_are_refused),
      cmocka_unit_test(noise_is_of_seed_and_prompt),
      cmocka_unit_test(values_and_order),
      cmocka_unit_test(seed_zero_is_a_seed),
      cmocka_unit_test(files_extend_files),
      cmocka_unit_test(arguments),
      cmocka_unit_test(command_line_wins),
      cmocka_unit_test(paths_are_relative_to_their_file),
      cmocka_unit_test(external_folders),
      cmocka_unit_test(bad_studies),
      cmocka_unit_test(sets_are_entries_of_metrics),
      cmocka_unit_test(bad_sets),
      cmocka_unit_test(bad_files),
      cmocka_unit_test(bad_prompts),
      cmocka_unit_test(mutations_are_answered),
      cmocka_unit_test(zip_multiplies),
      cmocka_unit_test(one_at_a_time_changes_the_reference),
      cmocka_unit_test(include_adds),
      cmocka_unit_test(exclude_takes_away_last),
      cmocka_unit_test(matrix_has_a_limit),
      cmocka_unit_test(warnings_do_not_stop),
      cmocka_unit_test(shipped_studies_are_good),
      cmocka_unit_test(shipped_prompts_are_the_worlds),
  };
  return cmocka_run_group_tests_name("study", tests, scratch_setup, scratch_teardown);
}
