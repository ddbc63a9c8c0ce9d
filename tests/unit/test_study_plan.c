/* Cells and keys: what changes a key, what must not, who shares what (spec/harness.md 8, 15). */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "scratch.h"
#include "study/content.h"
#include "study/plan.h"

/* --- helpers -----------------------------------------------------------------------------------------------------
 */

typedef struct planned {
  study *s;
  plan *p;
  text problems;
} planned;

/* Stands for a program: two measures. Its arguments: "vN" is the version, "base" wants the base model's clip, "help"
 * has other help texts. */
static int describe(err *e, study_scorer *s) {
  s->card = (scorer_card){.id = "fake", .version = 1, .picture = METRIC_DECODED, .n = 2};
  s->card.measure[0] =
      (card_measure){.id = "ink", .version = 3, .unit = "1", .lo = 0, .hi = 1, .plane = METRIC_RGB, .help = "ink"};
  s->card.measure[1] = (card_measure){
      .id = "edge", .version = 1, .direction = METRIC_DOWN, .unit = "px", .lo = -INFINITY, .hi = INFINITY};
  for (int i = 1; i < s->n_argv; i++) {
    if (s->argv[i][0] == 'v') s->card.version = s->argv[i][1] - '0';
    s->card.wants_base |= strcmp(s->argv[i], "base") == 0;
    if (strcmp(s->argv[i], "broken") == 0) return err_set(e, E_FORMAT, "it is broken");
  }
  if (s->timeout_s == 77) snprintf(s->card.measure[0].help, CARD_HELP, "other words");
  return OK;
}

static planned make(const char *path, const char *const *sets, int n_sets) {
  planned r = {0};
  problems p = {0};
  err e = {0};
  study_input in = {.file = path, .home = "none", .sets = sets, .n_sets = n_sets, .describe = describe};
  int rc = study_load(&e, &in, &p, &r.s);
  if (rc == OK) rc = plan_make(&e, r.s, &(plan_source){content_sha, NULL}, &p, &r.p);
  problems_print(&p, &r.problems);
  text_add(&r.problems, "");
  problems_free(&p);
  return r;
}

static void drop(planned *r) {
  plan_free(r->p);
  study_free(r->s);
  text_free(&r->problems);
}

static void write_model(const char *folder, const char *weights) {
  char name[128];
  snprintf(name, sizeof name, "%s/config.json", folder);
  scratch_write(name, "{\"layers\": 1}");
  snprintf(name, sizeof name, "%s/w.bin", folder);
  scratch_write(name, weights);
  snprintf(name, sizeof name, "%s/vae.json", folder);
  scratch_write(name, "{\"scale\": 1}");
}

/* What a test may put another text for. */
typedef struct parts {
  const char *name, *train, *sample, *variants, *seeds, *prompts, *metrics, *more;
} parts;

static const parts usual = {.name = "t",
                            .train = "\"steps\": 10, \"warmup\": 1",
                            .sample = "\"steps\": 4",
                            .variants = "{\"a\": \"ours\", \"b\": \"batch\", \"base\": \"base\"}",
                            .seeds = "\"train_seed\": [0, 1], \"sample_seed\": [5, 6, 7]",
                            .prompts = "[{\"id\": \"p1\", \"text\": \"one\"}, {\"id\": \"p2\", \"text\": \"two\"}]",
                            .metrics = "[\"true_iou_gain\", \"rgb_rmse_base\"]",
                            .more = "\"help\": \"\""};

static planned plan_of(parts q) {
  char s[4096];
  snprintf(
      s, sizeof s,
      "{\"schema\": 1, \"study\": \"%s\", %s,\n\"base\": {\"model\": {\"config\": \"m/config.json\", \"weights\":"
      " \"m/w.bin\", \"vae\": \"m/vae.json\"},\n\"train\": {%s}, \"sample\": {%s}},\n\"variants\": %s,\n"
      "\"matrix\": {\"axes\": {%s}},\n\"prompts\": {\"list\": %s},\n\"metrics\": %s}",
      q.name, q.more, q.train, q.sample, q.variants, q.seeds, q.prompts, q.metrics);
  write_model("m", "weights");
  scratch_write("s.json", s);
  return make(scratch_path(0, "s.json"), NULL, 0);
}

static plan *good(planned *r) {
  if (!r->p) fail_msg("unexpected problems:\n%s", r->problems.p);
  assert_true(r->p->n > 0);
  return r->p;
}

/* How many cells of the stage are in both plans. */
static int64_t shared(const plan *a, const plan *b, stage st) {
  int64_t n = 0;
  for (int64_t i = 0; i < a->n; i++) n += a->cell[i].stage == st && plan_find(b, a->cell[i].key) >= 0;
  return n;
}

/* Stages of which all cells are shared; the others must share none. */
static void stages_shared(planned *a, planned *b, const char *which) {
  for (int s = 0; s < STAGE_COUNT; s++) {
    int64_t n = shared(good(a), good(b), (stage)s);
    int64_t want = strstr(which, stage_name((stage)s)) ? a->p->count[s] : 0;
    if (n != want)
      fail_msg("%s: %lld cells shared, wanted %lld", stage_name((stage)s), (long long)n, (long long)want);
  }
}

#define ALL "prepare train sample score"

static void same_keys(planned *a, planned *b) {
  assert_int_equal(good(a)->n, good(b)->n);
  for (int64_t i = 0; i < a->p->n; i++) assert_true(plan_find(b->p, a->p->cell[i].key) >= 0);
}

static const plan_cell *first(const plan *p, stage st) {
  for (int64_t i = 0; i < p->n; i++)
    if (p->cell[i].stage == st) return &p->cell[i];
  fail_msg("no cell of stage %s", stage_name(st));
  return NULL;
}

static const plan_input *input(const plan_cell *c, const char *role) {
  for (int i = 0; i < c->n_inputs; i++)
    if (strcmp(c->input[i].role, role) == 0) return &c->input[i];
  return NULL;
}

/* --- shape of a plan ---------------------------------------------------------------------------------------------
 */

static void counts_and_order(void **state) {
  (void)state;
  planned r = plan_of(usual);
  plan *p = good(&r);
  assert_int_equal(p->count[STAGE_PREPARE], 1);
  assert_int_equal(p->count[STAGE_PRETRAIN], 0);
  assert_int_equal(p->count[STAGE_TRAIN], 2 * 2);
  assert_int_equal(p->count[STAGE_SAMPLE], 2 * 2 * 3 * 2 + 3 * 2);
  assert_int_equal(p->count[STAGE_SCORE], p->count[STAGE_SAMPLE]);
  for (int64_t i = 0; i < p->n; i++) {
    assert_int_equal(plan_find(p, p->cell[i].key), i);
    for (int k = 0; k < p->cell[i].n_inputs; k++) {
      const plan_input *in = &p->cell[i].input[k];
      assert_true(in->cell < i);
      if (in->cell >= 0) assert_string_equal(in->hash, p->cell[in->cell].key);
      assert_int_equal(in->cell < 0, in->path != NULL);
      if (k) assert_true(strcmp(p->cell[i].input[k - 1].role, in->role) < 0);
    }
  }
  assert_int_equal(plan_find(p, "abc"), -1);
  for (int64_t i = 0; i < r.s->n_points; i++) {
    const plan_cell *c = &p->cell[p->score[i]];
    assert_int_equal(c->stage, STAGE_SCORE);
    assert_string_equal(c->variant, r.s->rows[r.s->points[i].row].name);
    assert_int_equal(c->sample_seed, r.s->points[i].sample_seed);
  }
  drop(&r);
}

static void inputs_of_each_stage(void **state) {
  (void)state;
  planned r = plan_of(usual);
  plan *p = good(&r);
  const plan_cell *train = first(p, STAGE_TRAIN), *sample = first(p, STAGE_SAMPLE);
  assert_non_null(input(first(p, STAGE_PREPARE), "vae"));
  assert_null(input(first(p, STAGE_PREPARE), "weights"));
  assert_string_equal(p->cell[input(train, "data")->cell].key, first(p, STAGE_PREPARE)->key);
  assert_null(input(train, "vae"));
  assert_string_equal(p->cell[input(sample, "adapter")->cell].key, train->key);
  assert_non_null(input(sample, "vae"));
  assert_non_null(strstr(train->spec, "\"train_seed\":0"));
  assert_non_null(strstr(train->spec, "rgb_to_alpha=on")); /* every option, not what differs from defaults */
  assert_null(strstr(train->spec, "start_noise"));
  assert_null(strstr(train->spec, "checkpoint_every"));
  assert_non_null(strstr(train->hints, "checkpoint_every"));
  assert_non_null(strstr(sample->spec, "\"prompt\":\"one\""));
  assert_non_null(strstr(sample->spec, "start_noise=shared"));
  assert_null(strstr(sample->spec, "\"lr\""));
  assert_string_equal(sample->axes, "{\"prompt\":\"p1\",\"sample_seed\":5,\"train_seed\":0,\"variant\":\"a\"}");
  for (int64_t i = 0; i < p->n; i++)
    if (strcmp(p->cell[i].variant, "base") == 0 && p->cell[i].stage == STAGE_SAMPLE) {
      assert_null(input(&p->cell[i], "adapter"));
      assert_int_equal(p->cell[i].train_seed, SEED_NONE);
    }
  drop(&r);
}

/* The partner of a score is the next seed of the same prompt, round the list; the base sample has prompt and seed. */
static void partners_and_base(void **state) {
  (void)state;
  planned r = plan_of(usual);
  plan *p = good(&r);
  for (int64_t i = 0; i < r.s->n_points; i++) {
    const plan_cell *c = &p->cell[p->score[i]];
    const plan_cell *own = &p->cell[input(c, "sample")->cell], *partner = &p->cell[input(c, "partner")->cell];
    const plan_cell *base = &p->cell[input(c, "base")->cell];
    assert_int_equal(partner->sample_seed, own->sample_seed == 7 ? 5 : own->sample_seed + 1);
    assert_string_equal(partner->prompt, own->prompt);
    assert_string_equal(partner->variant, own->variant);
    assert_int_equal(partner->train_seed, own->train_seed);
    assert_string_equal(base->variant, "base");
    assert_string_equal(base->prompt, own->prompt);
    assert_int_equal(base->sample_seed, own->sample_seed);
  }
  drop(&r);
}

/* No row asks for the base model: its samples are made for the metrics that compare with it, and are not scored. */
static void base_samples_come_by_themselves(void **state) {
  (void)state;
  parts q = usual;
  q.variants = "{\"a\": \"ours\"}";
  planned with_base = plan_of(q);
  plan *p = good(&with_base);
  assert_int_equal(p->count[STAGE_SAMPLE], 2 * 3 * 2 + 3 * 2);
  assert_int_equal(p->count[STAGE_SCORE], 2 * 3 * 2);
  assert_string_equal(p->cell[input(first(p, STAGE_SCORE), "base")->cell].variant, "");
  q.metrics = "[\"alpha_coverage\"]";
  planned without = plan_of(q);
  p = good(&without);
  assert_int_equal(p->count[STAGE_SAMPLE], 2 * 3 * 2);
  assert_int_equal(first(p, STAGE_SCORE)->n_inputs, 1);
  drop(&with_base);
  drop(&without);
}

/* A score reads the VAE only where a metric needs latents; then its key follows the VAE's content. */
static void latents_need_the_vae(void **state) {
  (void)state;
  parts q = usual;
  planned without = plan_of(q);
  plan *p = good(&without);
  assert_null(input(first(p, STAGE_SCORE), "vae"));
  q.metrics = "[\"true_iou_gain\", \"latent_rmse_base\"]";
  planned with = plan_of(q);
  p = good(&with);
  const plan_cell *c = first(p, STAGE_SCORE);
  assert_int_equal(c->n_inputs, 4);
  assert_string_equal(input(c, "vae")->hash, input(first(p, STAGE_SAMPLE), "vae")->hash);
  assert_non_null(input(c, "vae")->path);
  assert_int_equal(shared(p, without.p, STAGE_SAMPLE), p->count[STAGE_SAMPLE]);
  assert_int_equal(shared(p, without.p, STAGE_SCORE), 0);
  drop(&with);
  drop(&without);
}

static void one_seed_has_no_partner(void **state) {
  (void)state;
  parts q = usual;
  q.seeds = "\"sample_seed\": 5";
  planned r = plan_of(q);
  assert_null(input(first(good(&r), STAGE_SCORE), "partner"));
  assert_non_null(strstr(r.problems.p, "needs at least two sample seeds"));
  drop(&r);
}

static void pretraining_is_a_cell(void **state) {
  (void)state;
  write_model("m", "weights");
  scratch_write("pre.json",
                "{\"schema\": 1, \"study\": \"t\", \"base\": {\"model\": {\"config\": \"m/config.json\", \"weights\":"
                " \"pretrain\", \"vae\": \"m/vae.json\"}, \"pretrain\": {\"steps\": 20, \"warmup\": 1}},"
                " \"variants\": {\"a\": \"ours\", \"base\": \"base\"}, \"prompts\": {\"list\": [\"x\"]},"
                " \"metrics\": [\"rgb_rmse_base\"]}");
  planned r = make(scratch_path(0, "pre.json"), NULL, 0);
  plan *p = good(&r);
  assert_int_equal(p->count[STAGE_PRETRAIN], 1);
  const plan_cell *pre = first(p, STAGE_PRETRAIN);
  assert_non_null(strstr(pre->spec, "\"pretrain\":{"));
  assert_string_equal(p->cell[input(first(p, STAGE_TRAIN), "weights")->cell].key, pre->key);
  assert_string_equal(p->cell[input(first(p, STAGE_SAMPLE), "weights")->cell].key, pre->key);
  err e = {0};
  json *spec = NULL;
  train_config cfg;
  assert_int_equal(json_parse(&e, "spec", pre->spec, strlen(pre->spec), &spec), OK);
  assert_int_equal(spec_train_config(&e, spec, NULL, STAGE_PRETRAIN, &cfg), OK);
  assert_int_equal(cfg.steps, 20);
  assert_true(cfg.muon_lr == train_defaults(1).muon_lr);
  json_free(spec);
  drop(&r);
}

/* --- keys --------------------------------------------------------------------------------------------------------
 */

/* The key is what its definition says, recomputed here from the parts by hand. */
static void key_is_its_definition(void **state) {
  (void)state;
  planned r = plan_of(usual);
  plan *p = good(&r);
  for (int64_t i = 0; i < p->n; i++) {
    const plan_cell *c = &p->cell[i];
    text t = {0};
    err e = {0};
    char hex[HASH_HEX];
    text_addf(&t, "{\"code_epoch\":%d,\"inputs\":{", plan_code_epoch(c->stage));
    for (int k = 0; k < c->n_inputs; k++)
      text_addf(&t, "%s\"%s\":{\"%s\":\"%s\"}", k ? "," : "", c->input[k].role,
                c->input[k].cell >= 0 ? "cell" : "sha256", c->input[k].hash);
    text_addf(&t, "},\"key_version\":1,\"spec\":%s,\"stage\":\"%s\"}", c->spec, stage_name(c->stage));
    assert_int_equal(hash_bytes(&e, t.p, t.n, hex), OK);
    assert_string_equal(hex, c->key);
    json *spec = NULL;
    assert_int_equal(json_parse(&e, "spec", c->spec, strlen(c->spec), &spec), OK);
    assert_int_equal(plan_key(&e, c->stage, spec, c->input, c->n_inputs, hex), OK);
    assert_string_equal(hex, c->key);
    json_free(spec);
    text_free(&t);
  }
  drop(&r);
}

/* A key computed elsewhere (Python: json.dumps with sorted keys and no blanks, hashlib.sha256). Other bytes here mean
 * that stored cells are lost: then PLAN_KEY_VERSION must change too, or the stage's code epoch. */
static void key_is_stable(void **state) {
  (void)state;
  static const char spec_text_in[] = "{ \"size\": [48, 4.8e1], \"lr\": 4e-3, \"Z\": -0.0, \"a\": 0.1,\n"
                                     " \"//\": \"note\", \"prompt\": \"a\\/b \\u00e9 \\ud83d\\ude00\","
                                     " \"n\": 9007199254740991 }";
  plan_input in[2] = {{.role = "adapter", .cell = 3}, {.role = "vae", .cell = -1}};
  err e = {0};
  json *spec = NULL;
  char key[HASH_HEX] = "";
  memset(in[0].hash, 'a', HASH_HEX - 1);
  memset(in[1].hash, 'b', HASH_HEX - 1);
  assert_int_equal(json_parse(&e, "spec", spec_text_in, sizeof spec_text_in - 1, &spec), OK);
  assert_int_equal(plan_key(&e, STAGE_SAMPLE, spec, in, 2, key), OK);
  assert_string_equal(key, "3044e80d72ab35fb17e96bcad6d6c69c9165386ce3cfec52292ce768475df091");
  json_free(spec);
}

/* What a worker does with the specs of a plan. */
static void specs_can_be_read_back(void **state) {
  (void)state;
  planned r = plan_of(usual);
  err e = {0};
  json *spec = NULL;
  design d;
  sample_config cfg;
  uint64_t seed = 99;
  metric_request *m = NULL;
  int64_t n = 0;
  const plan_cell *c = first(good(&r), STAGE_SAMPLE);
  assert_int_equal(json_parse(&e, "spec", c->spec, strlen(c->spec), &spec), OK);
  assert_int_equal(spec_design(&e, spec, &d), OK);
  assert_memory_equal(&d, &r.s->rows[0].design, sizeof d);
  assert_int_equal(spec_sample_config(&e, spec, &cfg), OK);
  assert_int_equal(cfg.steps, 4);
  assert_int_equal(spec_seed(&e, spec, "sample_seed", &seed), OK);
  assert_int_equal(seed, 5);
  json_free(spec);
  c = first(r.p, STAGE_SCORE);
  assert_int_equal(json_parse(&e, "spec", c->spec, strlen(c->spec), &spec), OK);
  assert_int_equal(spec_metrics(&e, spec, &m, &n), OK);
  assert_int_equal(n, 2);
  assert_string_equal(m[0].metric->id, "rgb_rmse_base");
  assert_true(m[1].gain && strcmp(m[1].metric->id, "true_iou") == 0);
  free(m);
  json_free(spec);
  static const char old[] = "{\"metrics\":[{\"id\":\"true_iou\",\"version\":999}]}";
  assert_int_equal(json_parse(&e, "spec", old, strlen(old), &spec), OK);
  assert_int_equal(spec_metrics(&e, spec, &m, &n), E_CONFIG);
  assert_null(m);
  assert_non_null(strstr(e.text, "planned with version 999"));
  json_free(spec);
  drop(&r);
}

static const char study_a[] =
    "{\"schema\":1,\"study\":\"t\",\"base\":{\"model\":{\"config\":\"m/config.json\","
    "\"weights\":\"m/w.bin\",\"vae\":\"m/vae.json\"},\"train\":{\"lr\":0.004,\"steps\":10}},"
    "\"variants\":{\"a\":\"ours\",\"b\":\"batch\"},\"prompts\":{\"list\":[{\"id\":\"p\","
    "\"text\":\"one\"}]},\"metrics\":[\"true_iou\",\"rgb_rmse_base\"]}";

/* The same study: other order, numbers spelt otherwise, comments, dotted names, aliases spelt out, metrics turned. */
static const char study_b[] =
    "{\n  \"//\": \"a note\",\n  \"metrics\": [\"rgb_rmse_base\", \"true_iou\"],\n  \"study\": \"another-name\",\n"
    "  \"prompts\": {\"list\": [{\"text\": \"one\", \"//\": 3, \"id\": \"other-id\"}]},\n"
    "  \"variants\": {\"z\": {\"//\": \"the reference\", \"design\": \"sequence:mask=hard\"},\n"
    "    \"y\": \"batch:exchange=none\"},\n"
    "  \"base\": {\"train.steps\": 1.0e1, \"train\": {\"//\": \"rate\", \"lr\": 4e-3},\n"
    "    \"resources.train.minutes\": 9, \"train.checkpoint_every\": 3,\n"
    "    \"model\": {\"vae\": \"m/vae.json\", \"weights\": \"./m/w.bin\", \"config\": \"m/config.json\"}},\n"
    "  \"schema\": 1\n}\n";

static void spelling_does_not_matter(void **state) {
  (void)state;
  write_model("m", "weights");
  scratch_write("a.json", study_a);
  scratch_write("b.json", study_b);
  planned a = make(scratch_path(0, "a.json"), NULL, 0), b = make(scratch_path(1, "b.json"), NULL, 0);
  same_keys(&a, &b);
  assert_string_not_equal(a.s->sha256, b.s->sha256);
  drop(&a);
  drop(&b);
}

static void moving_does_not_matter(void **state) {
  (void)state;
  write_model("m", "weights");
  write_model("deep/down/m", "weights");
  scratch_write("a.json", study_a);
  scratch_write("deep/down/renamed.json", study_a);
  planned a = make(scratch_path(0, "a.json"), NULL, 0);
  planned b = make(scratch_path(1, "deep/down/renamed.json"), NULL, 0);
  same_keys(&a, &b);
  assert_string_equal(a.s->sha256, b.s->sha256);
  drop(&a);
  drop(&b);
}

/* A locale with a decimal comma: an installed one, else one made for the test. */
static const char *comma_locale(void) {
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "fr_FR.utf8", "ru_RU.UTF-8"};
  char command[700];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (setlocale(LC_ALL, names[i])) return names[i];
  scratch_write("locale/made-for-test", "");
  snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1",
           scratch_path(7, "locale"));
  if (system(command) != 0 || setenv("LOCPATH", scratch_path(7, "locale"), 1) != 0) return NULL;
  return setlocale(LC_ALL, names[0]) ? names[0] : NULL;
}

static void locale_does_not_matter(void **state) {
  (void)state;
  char shown[32];
  write_model("m", "weights");
  scratch_write("a.json", study_a);
  planned a = make(scratch_path(0, "a.json"), NULL, 0);
  if (!comma_locale()) {
    drop(&a);
    print_message("no locale with a decimal comma, and localedef makes none\n");
    skip();
  }
  snprintf(shown, sizeof shown, "%.1f", 0.5);
  planned b = make(scratch_path(0, "a.json"), NULL, 0);
  setlocale(LC_ALL, "C");
  assert_string_equal(shown, "0,5"); /* the locale was really on */
  same_keys(&a, &b);
  drop(&a);
  drop(&b);
}

static void weight_content_matters(void **state) {
  (void)state;
  scratch_write("a.json", study_a);
  write_model("m", "weights");
  planned a = make(scratch_path(0, "a.json"), NULL, 0);
  write_model("m", "weighty");
  planned b = make(scratch_path(0, "a.json"), NULL, 0);
  stages_shared(&a, &b, "prepare");
  drop(&a);
  drop(&b);
}

/* Each change moves the stages that read it and those after them, and no other. */
static void changes_move_what_reads_them(void **state) {
  (void)state;
  planned a = plan_of(usual), b;
  parts q = usual;
  q.metrics = "[\"true_iou_gain\", \"rgb_rmse_base\", \"alpha_coverage\"]";
  b = plan_of(q);
  stages_shared(&a, &b, "prepare train sample");
  drop(&b);
  q = usual;
  q.sample = "\"steps\": 4, \"guidance\": 5";
  b = plan_of(q);
  stages_shared(&a, &b, "prepare train");
  drop(&b);
  q = usual;
  q.train = "\"steps\": 11, \"warmup\": 1";
  b = plan_of(q);
  assert_int_equal(shared(a.p, good(&b), STAGE_PREPARE), 1);
  assert_int_equal(shared(a.p, b.p, STAGE_TRAIN), 0);
  assert_int_equal(shared(a.p, b.p, STAGE_SAMPLE), 3 * 2); /* the base model's do not train */
  assert_int_equal(shared(a.p, b.p, STAGE_SCORE), 3 * 2);
  drop(&b);
  q = usual;
  q.more = "\"help\": \"other\", \"resources\": {\"train\": {\"gpus\": 4}}, \"reference_variant\": \"b\","
           " \"contrasts\": [{\"metric\": \"rgb_rmse_base\", \"variant\": \"a\"}]";
  b = plan_of(q);
  stages_shared(&a, &b, ALL);
  drop(&b);
  q = usual;
  q.prompts = "[{\"id\": \"p1\", \"text\": \"one!\"}, {\"id\": \"p2\", \"text\": \"two\"}]";
  b = plan_of(q);
  assert_int_equal(shared(a.p, good(&b), STAGE_TRAIN), a.p->count[STAGE_TRAIN]);
  assert_int_equal(shared(a.p, b.p, STAGE_SAMPLE), a.p->count[STAGE_SAMPLE] / 2);
  drop(&b);
  drop(&a);
}

/* A study that names a value and one that leaves it to the default are the same work. */
static void naming_a_default_changes_nothing(void **state) {
  (void)state;
  planned a = plan_of(usual);
  parts q = usual;
  q.train = "\"steps\": 10, \"warmup\": 1, \"beta2\": 0.95, \"noise\": \"independent\"";
  q.sample = "\"steps\": 4, \"sampler\": \"ddim\", \"cfg\": \"constant\"";
  planned b = plan_of(q);
  stages_shared(&a, &b, ALL);
  drop(&a);
  drop(&b);
}

static void seeds_and_more_seeds(void **state) {
  (void)state;
  planned a = plan_of(usual);
  parts q = usual;
  q.seeds = "\"train_seed\": [1, \"0\", 2], \"sample_seed\": {\"from\": 5, \"count\": 3}";
  planned b = plan_of(q);
  stages_shared(&a, &b, ALL); /* all of a's cells are in b, which has one train seed more */
  assert_int_equal(b.p->count[STAGE_TRAIN], 6);
  q.seeds = "\"train_seed\": [0, 1], \"sample_seed\": [5, 6, 9007199254740992]";
  planned c = plan_of(q);
  assert_null(c.p);
  drop(&c);
  q.seeds = "\"train_seed\": [0, 1], \"sample_seed\": [5, 6, \"9007199254740993\"]";
  c = plan_of(q);
  int found = 0;
  for (int64_t i = 0; i < good(&c)->n; i++)
    found |= strstr(c.p->cell[i].spec, "\"sample_seed\":\"9007199254740993\"") != NULL;
  assert_true(found);
  drop(&a);
  drop(&b);
  drop(&c);
}

static void rows_share_their_training(void **state) {
  (void)state;
  parts q = usual;
  q.variants = "{\"a\": \"ours\", \"own-noise\": \"sequence:start_noise=independent\","
               " \"strong\": {\"design\": \"ours\", \"sample.guidance\": 6}}";
  planned r = plan_of(q);
  plan *p = good(&r);
  assert_int_equal(p->count[STAGE_TRAIN], 2); /* two seeds, one adapter each */
  assert_int_equal(p->count[STAGE_SCORE], 3 * 2 * 3 * 2);
  /* the base sample of a row is sampled as the row is */
  assert_int_equal(p->count[STAGE_SAMPLE], 3 * 2 * 3 * 2 + 2 * 3 * 2);
  drop(&r);
}

static void studies_share_cells(void **state) {
  (void)state;
  planned a = plan_of(usual);
  parts q = usual;
  q.name = "other";
  q.variants = "{\"mine\": \"sequence\", \"new\": \"latent\"}";
  planned b = plan_of(q);
  assert_int_equal(shared(a.p, good(&b), STAGE_TRAIN), 2);
  assert_int_equal(shared(a.p, b.p, STAGE_SAMPLE), 2 * 3 * 2 + 3 * 2);
  assert_int_equal(shared(a.p, b.p, STAGE_SCORE), 2 * 3 * 2);
  drop(&a);
  drop(&b);
}

static void same_work_under_two_names(void **state) {
  (void)state;
  parts q = usual;
  q.variants = "{\"a\": \"ours\", \"again\": \"sequence:rgb_to_alpha=on\"}";
  planned r = plan_of(q);
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "variants 'again' and 'a' are the same work"));
  assert_null(strstr(strstr(r.problems.p, "same work") + 1, "same work"));
  drop(&r);
}

static void missing_files_are_all_named(void **state) {
  (void)state;
  scratch_write("gone.json", "{\"schema\": 1, \"study\": \"t\", \"base\": {\"model\": {\n\"config\": \"no.json\",\n"
                             "\"weights\": \"no.bin\",\n\"vae\": \"no-vae.json\"}},\n\"variants\": {\"a\": \"ours\"},"
                             " \"prompts\": {\"list\": [\"x\"]}, \"metrics\": [\"true_iou\"]}");
  planned r = make(scratch_path(0, "gone.json"), NULL, 0);
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "gone.json:2:1: error: model.config: "));
  assert_non_null(strstr(r.problems.p, "gone.json:3:1: error: model.weights: "));
  assert_non_null(strstr(r.problems.p, "gone.json:4:1: error: model.vae: "));
  drop(&r);
}

/* --- clips of other programs -------------------------------------------------------------------------------------
 */

static parts with_external(const char *words) {
  static char variants[256];
  parts q = usual;
  snprintf(variants, sizeof variants, "{\"a\": \"ours\", \"x\": \"%s\"}", words);
  q.variants = variants;
  q.seeds = "\"train_seed\": [0, 1], \"sample_seed\": [5, 60]";
  return q;
}

static void write_clips(const char *folder) {
  static const char *const names[] = {"p1_5.mkv",     "p1_60.webm",   "p2/5.mov",
                                      "p2/60/f1.png", "p2/60/f2.png", "more.mkv"};
  char path[128], bytes[16];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    snprintf(bytes, sizeof bytes, "clip %zu", i);
    scratch_write(path, bytes);
  }
}

static const plan_cell *sample_of(const plan *p, const char *row, const char *prompt, int64_t seed) {
  for (int64_t i = 0; i < p->n; i++) {
    const plan_cell *c = &p->cell[i];
    if (c->stage == STAGE_SAMPLE && !strcmp(c->variant, row) && !strcmp(c->prompt, prompt) && c->sample_seed == seed)
      return c;
  }
  fail_msg("no sample of %s, %s, %lld", row, prompt, (long long)seed);
  return NULL;
}

static void external_clips_are_files(void **state) {
  (void)state;
  write_clips("ext");
  planned r = plan_of(with_external("external:dir=ext"));
  const plan *p = good(&r);
  static const struct {
    const char *prompt, *file;
    int64_t seed;
  } want[] = {
      {"p1", "ext/p1_5.mkv", 5}, {"p1", "ext/p1_60.webm", 60}, {"p2", "ext/p2/5.mov", 5}, {"p2", "ext/p2/60", 60}};
  for (int i = 0; i < 4; i++) {
    const plan_cell *c = sample_of(p, "x", want[i].prompt, want[i].seed);
    char sha[HASH_HEX];
    err e = {0};
    assert_int_equal(c->n_inputs, 1);
    assert_string_equal(input(c, "file")->path, scratch_path(0, want[i].file));
    assert_int_equal(content_sha(NULL, &e, input(c, "file")->path, sha), OK);
    assert_string_equal(input(c, "file")->hash, sha);
    assert_int_equal(c->train_seed, SEED_NONE);
    assert_non_null(strstr(c->spec, "\"design\":\"external:colour=straight\""));
    assert_null(strstr(c->spec, "steps"));
    assert_null(strstr(c->spec, "ext/"));
  }
  /* 1 row x 2 train seeds x 4 clips, 4 clips of the base model for the distances, 4 files; a score each but the
   * base's */
  assert_int_equal(p->count[STAGE_TRAIN], 2);
  assert_int_equal(p->count[STAGE_SAMPLE], 8 + 4 + 4);
  assert_int_equal(p->count[STAGE_SCORE], 8 + 4);
  drop(&r);
}

/* A changed file moves its own cells and the score that has it for a partner; a folder that moved moves nothing. */
static void external_content_matters(void **state) {
  (void)state;
  write_clips("one");
  write_clips("two");
  planned a = plan_of(with_external("external:dir=one")), b = plan_of(with_external("external:dir=two"));
  same_keys(&a, &b);
  drop(&b);
  b = plan_of(with_external("external:colour=decoded,dir=one"));
  assert_int_equal(shared(a.p, good(&b), STAGE_SAMPLE), 8 + 4);
  assert_int_equal(shared(a.p, b.p, STAGE_SCORE), 8);
  drop(&b);
  scratch_write("two/p2/60/f2.png", "changed");
  b = plan_of(with_external("external:dir=two"));
  assert_int_equal(shared(a.p, good(&b), STAGE_SAMPLE), 8 + 4 + 3);
  assert_int_equal(shared(a.p, b.p, STAGE_SCORE), 8 + 2);
  assert_int_equal(shared(a.p, b.p, STAGE_TRAIN), 2);
  drop(&b);
  drop(&a);
}

static void external_clips_missing(void **state) {
  (void)state;
  scratch_write("some/p1_5.mkv", "a clip");
  scratch_write("some/p2_5.txt", "not a clip");
  planned r = plan_of(with_external("external:dir=some"));
  assert_null(r.p);
  const char *want[] = {"some/p1_60.* or ", "some/p2_5.* or ", "some/p2/60.*"};
  for (int i = 0; i < 3; i++) assert_non_null(strstr(r.problems.p, want[i]));
  assert_null(strstr(r.problems.p, "p1_5."));
  drop(&r);
  r = plan_of(with_external("external:dir=nowhere"));
  assert_null(r.p);
  const char *told = strstr(r.problems.p, "nowhere: No such file");
  assert_non_null(told);
  assert_null(strstr(told + 1, "nowhere"));
  drop(&r);
  scratch_write("twice/p1_5.mkv", "a clip");
  scratch_write("twice/p1/5.mkv", "a clip");
  r = plan_of(with_external("external:dir=twice"));
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "are both the clip of one prompt and seed"));
  drop(&r);
  scratch_write("none/readme.txt", "");
  parts q = with_external("external:dir=none");
  q.seeds = "\"sample_seed\": {\"count\": 20}";
  r = plan_of(q);
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "variant 'x': and 32 clips more"));
  drop(&r);
}

static void command_line_enters_keys(void **state) {
  (void)state;
  const char *sets[] = {"train.steps=11"};
  write_model("m", "weights");
  scratch_write("a.json", study_a);
  planned a = make(scratch_path(0, "a.json"), NULL, 0), b = make(scratch_path(0, "a.json"), sets, 1);
  assert_int_equal(shared(good(&a), good(&b), STAGE_TRAIN), 0);
  sets[0] = "train.steps=10";
  planned c = make(scratch_path(0, "a.json"), sets, 1);
  same_keys(&a, &c);
  drop(&a);
  drop(&b);
  drop(&c);
}

/* --- external scorers --------------------------------------------------------------------------------------------
 */

#define SCORER(id, argv, more) "{\"id\": \"" id "\", \"external\": {\"argv\": [\"./p\"" argv "]" more "}}"

static planned scored(const char *metrics) {
  parts q = usual;
  q.metrics = metrics;
  return plan_of(q);
}

static int64_t count_by_scorer(const plan *p) {
  int64_t n = 0;
  for (int64_t i = 0; i < p->n; i++) n += input(&p->cell[i], "scorer") != NULL;
  return n;
}

static void scorers_have_cells_of_their_own(void **state) {
  (void)state;
  planned plain = scored("[\"alpha_coverage\"]"), with = scored("[\"alpha_coverage\", " SCORER("x", "", "") "]");
  plan *a = good(&plain), *b = good(&with);
  const study *s = with.s;
  assert_int_equal(b->n - a->n, s->n_points);
  assert_int_equal(count_by_scorer(b), s->n_points);
  for (int64_t i = 0; i < a->n; i++) assert_true(plan_find(b, a->cell[i].key) >= 0);
  assert_int_equal(s->n_metrics, 3);
  assert_string_equal(s->metrics[1].id, "x/ink");
  assert_string_equal(s->metrics[2].id, "x/edge");
  assert_int_equal(s->metrics[0].scorer, -1);
  assert_int_equal(s->metrics[2].scorer, 0);
  assert_true(s->metrics[1].version == 3 && s->metrics[1].hi == 1);
  assert_int_equal(s->metrics[2].direction, METRIC_DOWN);
  for (int64_t i = 0; i < s->n_points; i++) assert_null(input(&b->cell[b->score[i]], "scorer"));
  const plan_cell *c = &b->cell[b->n - 1];
  assert_int_equal(c->stage, STAGE_SCORE);
  assert_int_equal(c->n_inputs, 2);
  assert_non_null(input(c, "sample"));
  assert_non_null(strstr(c->spec, "\"id\":\"x/ink\",\"version\":3"));
  assert_non_null(strstr(c->spec, "\"prompt\":\"two\""));
  assert_null(strstr(c->spec, "timeout"));
  assert_null(strstr(c->spec, "world"));
  assert_non_null(strstr(c->hints, "\"timeout_s\":600"));
  drop(&plain);
  drop(&with);
}

static void what_a_scorer_is_moves_its_keys(void **state) {
  static const struct {
    const char *metrics;
    int same;
  } other[] = {
      {"[\"alpha_coverage\", " SCORER("x", "", ", \"timeout_s\": 77, \"failures\": 9, \"start_s\": 1") "]", 1},
      {"[" SCORER("x", "", "") ", \"alpha_coverage\"]", 1},
      {"[\"rgb_rmse_base\", " SCORER("x", "", "") "]", 1},
      {"[\"alpha_coverage\", " SCORER("x", ", \"v2\"", "") "]", 0},
      {"[\"alpha_coverage\", " SCORER("x", ", \"other\"", "") "]", 0},
      {"[\"alpha_coverage\", " SCORER("y", "", "") "]", 0},
      {"[\"alpha_coverage\", " SCORER("x", ", \"base\"", "") "]", 0},
  };
  (void)state;
  planned one = scored("[\"alpha_coverage\", " SCORER("x", "", "") "]");
  for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
    planned two = scored(other[i].metrics);
    plan *a = good(&one), *b = good(&two);
    int64_t both = 0;
    for (int64_t k = 0; k < a->n; k++) both += input(&a->cell[k], "scorer") && plan_find(b, a->cell[k].key) >= 0;
    if (both != (other[i].same ? count_by_scorer(a) : 0)) fail_msg("%s: %lld", other[i].metrics, (long long)both);
    drop(&two);
  }
  drop(&one);
}

static void the_base_clip_is_an_input_on_request(void **state) {
  (void)state;
  planned r = scored("[\"alpha_coverage\", " SCORER("x", ", \"base\"", "") "]");
  plan *p = good(&r);
  for (int64_t i = 0; i < p->n; i++)
    if (p->cell[i].stage == STAGE_SCORE)
      assert_int_equal(input(&p->cell[i], "base") != NULL, input(&p->cell[i], "scorer") != NULL);
  drop(&r);
}

/* --- scores of sets ----------------------------------------------------------------------------------------------
 */

#define SET(id, against) "{\"set\": \"" id "\", \"against\": \"" against "\"}"

/* Cells that compare sets, of a score and reference. */
static int64_t sets_of(const plan *p, const char *id, const char *against, const plan_cell **list) {
  char set[80], word[80];
  int64_t n = 0;
  snprintf(set, sizeof set, "\"set\":\"%s\"", id);
  snprintf(word, sizeof word, "\"against\":\"%s\"", against);
  for (int64_t i = 0; i < p->n; i++)
    if (strstr(p->cell[i].axes, set) && strstr(p->cell[i].axes, word)) list[n++] = &p->cell[i];
  return n;
}

static int side(const plan_cell *c, char letter) {
  int n = 0;
  for (int i = 0; i < c->n_inputs; i++) n += set_cell_side(c->input[i].role) == letter;
  return n;
}

#define THREE_SETS "[\"alpha_coverage\", \"hof_energy\", " SET("hof_energy", "base") ", " SET("hof_energy", "a") "]"

static void sets_have_cells_of_their_own(void **state) {
  const plan_cell *c[16];
  (void)state;
  planned plain = scored("[\"alpha_coverage\"]"), with = scored(THREE_SETS);
  plan *a = good(&plain), *b = good(&with);
  assert_int_equal(b->n_sets, 5 + 4 + 3);
  assert_int_equal(b->n - a->n, b->n_sets);
  for (int64_t i = 0; i < a->n; i++) assert_true(plan_find(b, a->cell[i].key) >= 0);
  /* a and b with two train seeds each, and base: two prompts, three sample seeds */
  assert_int_equal(sets_of(b, "hof_energy", "data", c), 5);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(c[i]->stage, STAGE_SCORE);
    assert_int_equal(c[i]->n_inputs, 6);
    assert_int_equal(side(c[i], 'x'), 6);
    assert_string_equal(c[i]->input[0].role, SET_FIRST);
    assert_non_null(strstr(c[i]->spec, "\"kind\":\"world\""));
    assert_null(c[i]->prompt);
    assert_int_equal(c[i]->sample_seed, SEED_NONE);
    for (int k = 0; k < 6; k++) {
      const plan_cell *made = &b->cell[c[i]->input[k].cell];
      assert_string_equal(made->variant, c[i]->variant);
      assert_int_equal(made->train_seed, c[i]->train_seed);
      if (k) assert_true(strcmp(c[i]->input[k - 1].hash, c[i]->input[k].hash) < 0);
    }
  }
  /* the base model is not compared with itself */
  assert_int_equal(sets_of(b, "hof_energy", "base", c), 4);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(side(c[i], 'x') == 6 && side(c[i], 'y') == 6, 1);
    assert_string_equal(b->cell[c[i]->input[6].cell].variant, "base");
    assert_null(strstr(c[i]->spec, "world"));
  }
  /* nor is a; b's clips meet those of the same train seed, base meets all */
  assert_int_equal(sets_of(b, "hof_energy", "a", c), 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(side(c[i], 'y'), c[i]->train_seed == SEED_NONE ? 12 : 6);
    for (int k = 6; k < c[i]->n_inputs; k++) {
      const plan_cell *made = &b->cell[c[i]->input[k].cell];
      assert_string_equal(made->variant, "a");
      if (c[i]->train_seed != SEED_NONE) assert_int_equal(made->train_seed, c[i]->train_seed);
    }
  }
  drop(&plain);
  drop(&with);
}

/* How many cells that compare sets are in both plans. */
static int64_t shared_sets(const plan *a, const plan *b) {
  int64_t n = 0;
  for (int64_t i = 0; i < a->n; i++) n += input(&a->cell[i], SET_FIRST) && plan_find(b, a->cell[i].key) >= 0;
  return n;
}

static void what_moves_the_keys_of_sets(void **state) {
  static const char turned[] = "[{\"id\": \"p2\", \"text\": \"two\"}, {\"id\": \"q\", \"text\": \"one\"}]",
                    other[] = "[{\"id\": \"p1\", \"text\": \"one\"}, {\"id\": \"p2\", \"text\": \"three\"}]",
                    names[] = "{\"base\": \"base\", \"a\": \"ours\", \"other\": \"batch\"}",
                    seeds[] = "\"train_seed\": [1, 0], \"sample_seed\": [7, 5, 6]",
                    fewer[] = "\"train_seed\": [0, 1], \"sample_seed\": [5, 6]";
  const struct {
    parts q;
    int64_t same; /* of 12 */
  } to[] = {
      {{.prompts = turned}, 12}, /* a set has no order, and names are not work */
      {{.variants = names}, 12},
      {{.seeds = seeds}, 12},
      {{.metrics = "[\"rgb_rmse_base\", \"hof_energy\", \"rand_mmd\", " SET("hof_energy", "a") ", " SET("hof_energy",
                                                                                                        "base") "]"},
       12},
      {{.prompts = other}, 0}, /* another clip */
      {{.seeds = fewer}, 0},
      {{.sample = "\"steps\": 5"}, 0},
      {{.train = "\"steps\": 11, \"warmup\": 1"}, 1}, /* base against the data */
      {{.metrics = "[\"alpha_coverage\", \"hof_energy:seed=1\", " SET("hof_energy:alpha=0", "base") "]"}, 0},
  };
  (void)state;
  planned one = scored(THREE_SETS);
  for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
    parts q = usual;
    q.metrics = to[i].q.metrics ? to[i].q.metrics : THREE_SETS;
    if (to[i].q.prompts) q.prompts = to[i].q.prompts;
    if (to[i].q.variants) q.variants = to[i].q.variants;
    if (to[i].q.seeds) q.seeds = to[i].q.seeds;
    if (to[i].q.sample) q.sample = to[i].q.sample;
    if (to[i].q.train) q.train = to[i].q.train;
    planned two = plan_of(q);
    int64_t n = shared_sets(good(&one), good(&two));
    if (n != to[i].same) fail_msg("%zu: %lld cells shared, wanted %lld", i, (long long)n, (long long)to[i].same);
    drop(&two);
  }
  /* other data: the base model's clips stay, what they are compared with does not */
  const char *const sets[] = {"data.seed=9"};
  planned data = make(scratch_path(0, "s.json"), sets, 1), same = make(scratch_path(0, "s.json"), NULL, 0);
  assert_int_equal(shared_sets(good(&same), good(&data)), 0);
  assert_true(shared(same.p, data.p, STAGE_SAMPLE) > 0);
  drop(&data);
  drop(&same);
  drop(&one);
}

static void sets_that_are_the_same_work(void **state) {
  (void)state;
  parts q = usual;
  q.variants = "{\"a\": \"ours\", \"plain\": \"base\"}";
  q.metrics = "[\"alpha_coverage\", " SET("hof_energy:alpha=0", "base") ", " SET("hof_energy:alpha=0", "plain") "]";
  planned r = plan_of(q);
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "against 'plain' is the same work as an entry before it"));
  drop(&r);
}

static void a_scorer_alone_scores_every_point(void **state) {
  (void)state;
  planned r = scored("[" SCORER("x", "", "") ", " SCORER("y", "", "") "]");
  plan *p = good(&r);
  assert_int_equal(p->count[STAGE_SCORE], 2 * r.s->n_points);
  for (int64_t i = 0; i < r.s->n_points; i++) {
    const plan_cell *c = &p->cell[p->score[i]];
    assert_non_null(input(c, "scorer"));
    assert_non_null(strstr(c->spec, "x/ink"));
  }
  drop(&r);
}

static void measures_of_scorers_may_be_primary(void **state) {
  (void)state;
  parts q = usual;
  q.metrics = "[\"alpha_coverage\", " SCORER("x", "", "") "]";
  q.more = "\"primary\": [\"x/edge\"], \"contrasts\": [{\"metric\": \"x/ink\", \"variant\": \"b\"}]";
  planned r = plan_of(q);
  good(&r);
  assert_string_equal(r.s->metrics[0].id, "x/edge");
  assert_int_equal(r.s->metrics[0].primary, 1);
  assert_string_equal(r.s->metrics[r.s->contrasts[0].metric].id, "x/ink");
  drop(&r);
  q.more = "\"primary\": [\"x/egde\"]";
  r = plan_of(q);
  assert_non_null(strstr(r.problems.p, "no scorer of the study measures 'x/egde' (measured: x/ink, x/edge)"));
  drop(&r);
  r = scored("[\"alpha_coverage\", " SCORER("x", ", \"broken\"", "") "]");
  assert_null(r.p);
  assert_non_null(strstr(r.problems.p, "s.json:7:31: error: scorer 'x': it is broken"));
  drop(&r);
}

/* --- contents ----------------------------------------------------------------------------------------------------
 */

static void sha_of(const char *name, char hex[HASH_HEX]) {
  err e = {0};
  if (content_sha(NULL, &e, scratch_path(0, name), hex) != OK) fail_msg("%s", e.text);
}

static void folders_have_content(void **state) {
  (void)state;
  char a[HASH_HEX], b[HASH_HEX];
  scratch_write("f1/x.txt", "one");
  scratch_write("f1/sub/y.txt", "two");
  scratch_write("f2/sub/y.txt", "two");
  scratch_write("f2/x.txt", "one");
  scratch_write("f2/.hidden", "no");
  sha_of("f1", a);
  sha_of("f2", b);
  assert_string_equal(a, b);
  scratch_write("f2/sub/y.txt", "twO");
  sha_of("f2", b);
  assert_string_not_equal(a, b);
  scratch_write("f3/x.txt", "one");
  scratch_write("f3/suby.txt", "two");
  sha_of("f3", b);
  assert_string_not_equal(a, b);
  sha_of("f1/x.txt", b);
  assert_string_equal(b, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"); /* sha256 of "one" */
  err e = {0};
  scratch_write("empty/.hidden", "no");
  assert_int_equal(content_sha(NULL, &e, scratch_path(0, "empty"), b), E_IO);
  assert_non_null(strstr(e.text, "empty"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_and_order),
      cmocka_unit_test(inputs_of_each_stage),
      cmocka_unit_test(partners_and_base),
      cmocka_unit_test(base_samples_come_by_themselves),
      cmocka_unit_test(latents_need_the_vae),
      cmocka_unit_test(one_seed_has_no_partner),
      cmocka_unit_test(pretraining_is_a_cell),
      cmocka_unit_test(key_is_its_definition),
      cmocka_unit_test(key_is_stable),
      cmocka_unit_test(specs_can_be_read_back),
      cmocka_unit_test(spelling_does_not_matter),
      cmocka_unit_test(moving_does_not_matter),
      cmocka_unit_test(locale_does_not_matter),
      cmocka_unit_test(weight_content_matters),
      cmocka_unit_test(changes_move_what_reads_them),
      cmocka_unit_test(naming_a_default_changes_nothing),
      cmocka_unit_test(seeds_and_more_seeds),
      cmocka_unit_test(rows_share_their_training),
      cmocka_unit_test(studies_share_cells),
      cmocka_unit_test(same_work_under_two_names),
      cmocka_unit_test(missing_files_are_all_named),
      cmocka_unit_test(external_clips_are_files),
      cmocka_unit_test(external_content_matters),
      cmocka_unit_test(external_clips_missing),
      cmocka_unit_test(scorers_have_cells_of_their_own),
      cmocka_unit_test(what_a_scorer_is_moves_its_keys),
      cmocka_unit_test(the_base_clip_is_an_input_on_request),
      cmocka_unit_test(a_scorer_alone_scores_every_point),
      cmocka_unit_test(sets_have_cells_of_their_own),
      cmocka_unit_test(what_moves_the_keys_of_sets),
      cmocka_unit_test(sets_that_are_the_same_work),
      cmocka_unit_test(measures_of_scorers_may_be_primary),
      cmocka_unit_test(command_line_enters_keys),
      cmocka_unit_test(folders_have_content),
  };
  return cmocka_run_group_tests_name("study_plan", tests, scratch_setup, scratch_teardown);
}
