/* The user study's kit: balance of the plan, blinding and form of the page, the key, hostile packets, the report. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "media/video.h"
#include "report/kit_export.h"
#include "report/kit_page.h"
#include "report/kit_report.h"
#include "report/kit_votes.h"
#include "scratch.h"

static err err0;
#define GOOD(call)                                                                                                   \
  do {                                                                                                               \
    err0 = (err){0};                                                                                                 \
    if ((call) != OK) fail_msg("%s: %s", #call, err0.text);                                                          \
  } while (0)

/* --- plan ---------------------------------------------------------------------------------------------------------
 */

static int64_t at_most(int64_t value, int64_t limit) {
  if (value > limit) fail_msg("%lld, at most %lld", (long long)value, (long long)limit);
  return value;
}

/* Everything that kit_plan.h promises, counted. */
static void check_plan(const kit_shape *s) {
  enum { V = 12, P = 40 };
  int64_t pair_left[V][V] = {{0}}, shown[P][V][V] = {{{0}}}, side[V] = {0};
  kit_plan p;
  GOOD(kit_plan_make(&err0, s, &p));
  int64_t items = kit_items(s->variants, s->prompts), least = INT64_MAX, most = 0, broken_left = 0;
  assert_int_equal(p.first[p.participants], items * s->votes + s->participants * s->checks);
  for (int64_t i = 0; i < p.participants; i++) {
    int64_t n = p.first[i + 1] - p.first[i], checks = 0, own[V] = {0};
    unsigned char seen[P][V][V] = {{{0}}};
    for (const kit_trial *t = p.trial + p.first[i]; t < p.trial + p.first[i + 1]; t++) {
      assert_true(t->prompt >= 0 && t->prompt < s->prompts && t->left != t->right);
      if (t->left == KIT_BROKEN || t->right == KIT_BROKEN) {
        assert_int_equal(t->left == KIT_BROKEN ? t->right : t->left, s->reference);
        broken_left += t->left == KIT_BROKEN ? 1 : -1;
        checks++;
        continue;
      }
      assert_true(t->left >= 0 && t->left < s->variants && t->right >= 0 && t->right < s->variants);
      int64_t a = t->left < t->right ? t->left : t->right, b = t->left + t->right - a;
      assert_int_equal(seen[t->prompt][a][b]++, 0); /* nobody sees an item twice */
      shown[t->prompt][a][b]++;
      pair_left[t->left][t->right]++;
      side[t->left]++, side[t->right]--;
      own[t->left]++, own[t->right]--;
    }
    assert_int_equal(checks, s->checks);
    if (n < least) least = n;
    if (n > most) most = n;
    for (int64_t v = 0; s->votes % 2 == 0 && s->participants % 2 == 0 && v < s->variants; v++)
      at_most(llabs(own[v]), 3);
  }
  at_most(most - least, 1);
  if (s->participants % 2 == 0) assert_int_equal(broken_left, 0);
  for (int64_t a = 0; a < s->variants; a++) {
    at_most(llabs(side[a]), s->votes % 2);
    for (int64_t b = a + 1; b < s->variants; b++) {
      at_most(llabs(pair_left[a][b] - pair_left[b][a]), s->votes % 2);
      for (int64_t q = 0; q < s->prompts; q++) assert_int_equal(shown[q][a][b], s->votes);
    }
  }
  kit_plan_free(&p);
}

static void plans_are_balanced(void **state) {
  const kit_shape shapes[] = {{2, 1, 2, 2, 0, 0, 0},   {2, 1, 1, 1, 1, 1, 3},    {3, 8, 12, 4, 2, 1, 7},
                              {5, 10, 20, 4, 2, 0, 1}, {4, 7, 9, 3, 1, 3, 2},    {6, 5, 7, 5, 3, 2, 4},
                              {11, 4, 30, 2, 2, 5, 5}, {2, 40, 87, 30, 2, 0, 6}, {3, 3, 5, 1, 0, 0, 8},
                              {12, 3, 11, 3, 2, 11, 9}};
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (uint64_t seed = 0; seed < 5; seed++) {
      kit_shape s = shapes[i];
      s.seed += 100 * seed;
      check_plan(&s);
    }
}

static void plans_follow_their_seed(void **state) {
  kit_shape s = {.variants = 3, .prompts = 8, .participants = 12, .votes = 4, .checks = 2, .seed = 5};
  kit_plan a, b, c;
  (void)state;
  GOOD(kit_plan_make(&err0, &s, &a));
  GOOD(kit_plan_make(&err0, &s, &b));
  s.seed = 6;
  GOOD(kit_plan_make(&err0, &s, &c));
  size_t bytes = (size_t)a.first[12] * sizeof *a.trial;
  assert_memory_equal(a.trial, b.trial, bytes);
  assert_memory_not_equal(a.trial, c.trial, bytes);
  /* two participants with the same items see them in another order */
  assert_memory_not_equal(a.trial, a.trial + a.first[1], (size_t)a.first[1] * sizeof *a.trial);
  kit_plan_free(&a), kit_plan_free(&b), kit_plan_free(&c);
}

static void impossible_plans(void **state) {
  const kit_shape shapes[] = {{1, 5, 4, 2, 0, 0, 0},      {3, 0, 4, 2, 0, 0, 0},        {3, 5, 1, 2, 0, 0, 0},
                              {3, 5, 4, 0, 0, 0, 0},      {2, 1, 9, 4, 0, 0, 0},        {3, 5, 4, 2, -1, 0, 0},
                              {3, 5, 200000, 2, 0, 0, 0}, {1000, 100000, 4, 2, 0, 0, 0}};
  kit_plan p;
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    err e = {0};
    assert_int_equal(kit_plan_make(&e, &shapes[i], &p), E_ARG);
    assert_true(e.text[0] && !p.trial);
  }
  assert_int_equal(kit_participants(24, 4, 30), 4);
  assert_int_equal(kit_participants(100, 4, 30), 14);
  assert_int_equal(kit_participants(100, 3, 30), 10);
  assert_int_equal(kit_participants(1, 5, 30), 5);
}

/* --- key, page ----------------------------------------------------------------------------------------------------
 */

enum { V = 3, P = 6, Q = 2 };

#define EVIL "</script><script>alert(1)</script> & \"q\" ]]> \xe2\x80\xa8 \xc3\xa9"

static char *copy(const char *s) {
  char *out = NULL;
  GOOD(mem_strdup(&err0, s, &out));
  return out;
}

static kit_key make_key(uint64_t seed, int ties) {
  static const char *const variants[V] = {"zebra-variant", "heron-variant", "badger-variant"};
  kit_key k = {.study = copy("secretstudy"), .seed = seed, .ties = ties, .n_variants = V, .n_prompts = P};
  kit_shape s = {.variants = V, .prompts = P, .participants = 6, .votes = 4, .checks = 2, .seed = seed};
  k.variants = calloc(V, sizeof *k.variants);
  k.prompts = calloc(P, sizeof *k.prompts);
  k.clips = calloc(V * P, sizeof *k.clips);
  assert_true(k.variants && k.prompts && k.clips);
  for (int i = 0; i < V; i++) k.variants[i] = copy(variants[i]);
  for (int i = 0; i < P; i++) {
    char id[32];
    snprintf(id, sizeof id, "prompt-id-%d", i);
    k.prompts[i] = (kit_prompt){copy(id), copy(i ? "a red square" : EVIL)};
  }
  for (int i = 0; i < V * P; i++) k.clips[i] = (kit_seeds){i % V ? 0 : -1, 4};
  memset(k.spec_sha256, 'a', HASH_HEX - 1);
  memset(k.kit, 'b', HASH_HEX - 1);
  GOOD(kit_questions_default(&err0, &k));
  assert_int_equal(k.n_questions, Q);
  k.metrics = calloc(1, sizeof *k.metrics);
  k.metrics[k.n_metrics++] = (kit_metric){copy("color_fit_gain"), 2, METRIC_UP};
  GOOD(kit_plan_make(&err0, &s, &k.plan));
  return k;
}

static text make_page(kit_key *k) {
  static const kit_view panels[] = {KIT_RGB, KIT_ALPHA, KIT_CHECKER};
  kit_picture pictures[P * (V + 1)];
  int64_t slot[P * (V + 1)];
  text out = {0};
  for (int i = 0; i < P * (V + 1); i++) {
    pictures[i] = (kit_picture){32, 24, copy("UklGRg==")};
    slot[i] = P * (V + 1) - 1 - i;
  }
  kit_page_input in = {.key = k, .panels = panels, .n_panels = 3, .pictures = pictures, .slot = slot};
  in.n_pictures = P * (V + 1);
  GOOD(kit_page_make(&err0, &in, k->kit, &out));
  for (int i = 0; i < P * (V + 1); i++) free(pictures[i].base64);
  return out;
}

/* Every element is closed in its order, attributes are quoted; script and style are text up to their end tag.
 * Returns the number of elements. */
static int well_formed(const char *s) {
  char stack[64][16];
  int depth = 0, elements = 0;
  for (s = strchr(s, '<'); s; s = strchr(s, '<')) {
    char name[16] = "";
    if (!strncmp(s, "<!", 2)) {
      s = strchr(s, '>');
      continue;
    }
    int close = s[1] == '/';
    sscanf(s + 1 + close, "%15[a-z0-9]", name);
    if (!name[0]) fail_msg("a stray '<': %.40s", s);
    const char *p = s + 1 + close + strlen(name);
    int quotes = 0;
    for (; *p && (*p != '>' || quotes % 2); p++) {
      quotes += *p == '"';
      if (*p == '<') fail_msg("'<' in a tag: %.40s", s);
      if (*p == '=' && !(quotes % 2) && p[1] != '"') fail_msg("an unquoted attribute: %.60s", s);
    }
    if (!*p || quotes % 2) fail_msg("a tag without end: %.40s", s);
    if (close) {
      if (!depth || strcmp(stack[--depth], name)) fail_msg("</%s> closes <%s>", name, depth >= 0 ? stack[depth] : "");
    } else {
      elements++;
      if (p[-1] != '/') {
        assert_true(depth < 64);
        memcpy(stack[depth++], name, sizeof name);
      }
    }
    s = p;
    if (!close && (!strcmp(name, "script") || !strcmp(name, "style"))) {
      s = strstr(s, name[1] == 'c' ? "</script>" : "</style>");
      assert_non_null(s);
    }
  }
  assert_int_equal(depth, 0);
  return elements;
}

static void page_is_blind_and_well_formed(void **state) {
  kit_key k = make_key(3, 1);
  text page = make_page(&k), again = make_page(&k);
  char kit[HASH_HEX];
  (void)state;
  assert_true(well_formed(page.p) > 40);
  assert_int_equal(page.n, again.n);
  assert_memory_equal(page.p, again.p, page.n);
  for (int i = 0; i < V; i++) assert_null(strstr(page.p, k.variants[i]));
  static const char *const secrets[] = {"zebra", "-variant", "secretstudy", "prompt-id", "color_fit", "alert(1)</"};
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) assert_null(strstr(page.p, secrets[i]));
  assert_non_null(strstr(page.p, "a red square")); /* the default question about motion shows the description */
  assert_non_null(strstr(page.p, k.kit));
  memcpy(kit, k.kit, sizeof kit);

  /* the data are JSON that says what the plan says, and survive what a prompt may hold */
  const char *from = strstr(page.p, "id=\"kit\">") + strlen("id=\"kit\">"), *to = strstr(from, "</script>");
  json *j = NULL;
  GOOD(json_parse(&err0, "page", from, (size_t)(to - from), &j));
  assert_string_equal(json_at(json_get(j, "prompts"), 0)->str, EVIL);
  const json *form = json_at(json_get(j, "forms"), 2);
  assert_int_equal(json_count(form), k.plan.first[3] - k.plan.first[2]);
  for (int64_t i = 0; i < json_count(form); i++) {
    const kit_trial *t = &k.plan.trial[k.plan.first[2] + i];
    int64_t left = t->left == KIT_BROKEN ? V : t->left;
    assert_int_equal((int64_t)json_at(json_at(form, i), 1)->num, P * (V + 1) - 1 - (t->prompt * (V + 1) + left));
  }
  json_free(j);

  kit_key other = make_key(4, 1);
  text different = make_page(&other);
  assert_string_not_equal(other.kit, kit);
  /* a description that no question shows is not in the page */
  for (int i = 0; i < Q; i++) k.questions[i].prompt = 0;
  text silent = make_page(&k);
  assert_null(strstr(silent.p, "a red square"));
  text_free(&page), text_free(&again), text_free(&different), text_free(&silent);
  kit_key_free(&k), kit_key_free(&other);
}

static void keys_come_back(void **state) {
  kit_key k = make_key(3, 1), back = {0};
  text t = {0}, u = {0};
  (void)state;
  kit_key_print(&k, &t);
  GOOD(text_ok(&t, &err0));
  scratch_write("key.json", t.p);
  GOOD(kit_key_read(&err0, scratch_path(0, "key.json"), &back));
  kit_key_print(&back, &u);
  GOOD(text_ok(&u, &err0));
  assert_string_equal(t.p, u.p);
  assert_true(back.ties && back.plan.participants == 6 && back.clips[1].train == 0 && back.clips[0].train == -1);
  assert_string_equal(back.prompts[0].text, EVIL);
  kit_key_free(&back);
  for (size_t n = 0; n + 2 < t.n; n += 37) { /* no beginning of a key is a key */
    err e = {0};
    char *part = strndup(t.p, n);
    scratch_write("part.json", part);
    assert_int_not_equal(kit_key_read(&e, scratch_path(0, "part.json"), &back), OK);
    assert_true(e.text[0] && !back.variants);
    free(part);
  }
  static const char *const edits[][2] = {{"tandem-kit-key", "tandem-other"},
                                         {"\"version\": 1", "\"version\": 2"},
                                         {"\"bbbb", "\"BBBB"},
                                         {"[[", "[[-2, 0, 1], ["},
                                         {"[[", "[[0, 1, 1], ["},
                                         {"[[", "[[99, 0, 1], ["},
                                         {"\"rgb\"", "\"smell\""},
                                         {"\"ties\": true", "\"ties\": 1"},
                                         {"\"clips\": [[", "\"clips\": [[0, 0], ["}};
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    err e = {0};
    text bad = {0};
    const char *forms = i >= 3 && i <= 5 ? strstr(t.p, "\"participants\"") : t.p, *at = strstr(forms, edits[i][0]);
    assert_non_null(at);
    text_addn(&bad, t.p, (size_t)(at - t.p));
    text_add(&bad, edits[i][1]);
    text_add(&bad, at + strlen(edits[i][0]));
    GOOD(text_ok(&bad, &err0));
    scratch_write("bad.json", bad.p);
    if (kit_key_read(&e, scratch_path(0, "bad.json"), &back) != E_FORMAT) fail_msg("edit %zu: '%s'", i, e.text);
    text_free(&bad);
  }
  text_free(&t), text_free(&u);
  kit_key_free(&k);
}

static void questions_from_a_file(void **state) {
  kit_key k = {0};
  (void)state;
  scratch_write("q.json", "{\"questions\": [{\"id\": \"glass\", \"text\": \"Which?\", \"views\": [\"plate\"]}]}");
  GOOD(kit_questions_read(&err0, scratch_path(0, "q.json"), &k));
  assert_true(k.n_questions == 1 && k.questions[0].view[0] == KIT_PLATE && !k.questions[0].prompt);
  kit_key_free(&k);
  static const char *const bad[] = {
      "{}",
      "{\"questions\": []}",
      "{\"questions\": [{\"id\": \"a b\", \"text\": \"x\", \"views\": [\"rgb\"]}]}",
      "{\"questions\": [{\"id\": \"a\", \"text\": \"x\", \"views\": []}]}",
      "{\"questions\": [{\"id\": \"a\", \"text\": \"x\", \"views\": [\"rgb\", \"rgb\"]}]}",
      "{\"questions\": [{\"id\": \"a\", \"text\": 3, \"views\": [\"rgb\"]}]}",
      "{\"questions\": [7]}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    err e = {0};
    scratch_write("q.json", bad[i]);
    assert_int_equal(kit_questions_read(&e, scratch_path(0, "q.json"), &k), E_FORMAT);
    assert_non_null(strstr(e.text, "q.json:1:"));
    kit_key_free(&k);
  }
}

/* --- pictures -----------------------------------------------------------------------------------------------------
 */

static void views_and_broken_clips(void **state) {
  clip c = {0}, broken = {0}, again = {0}, other = {0};
  float rgb[2 * 3 * 3];
  (void)state;
  GOOD(clip_new(&err0, 1, 2, 3, 1, &c));
  c.fps = 8, c.colour = CLIP_STRAIGHT;
  for (int i = 0; i < 6; i++) c.alpha[i] = i % 2 ? 1 : 0.25f, c.rgb[3 * i] = 0.5f;

  for (int i = 0; i < 18; i++) rgb[i] = NAN;
  kit_render_view(&c, 0, KIT_RGB, 0.9f, rgb);
  assert_true(rgb[0] == 0.5f && rgb[1] == 0);
  kit_render_view(&c, 0, KIT_ALPHA, 0.9f, rgb);
  assert_true(rgb[0] == 0.25f && rgb[2] == 0.25f && rgb[3] == 1);
  kit_render_view(&c, 0, KIT_PLATE, 0.9f, rgb);
  assert_true(fabsf(rgb[0] - (0.125f + 0.75f * 0.9f)) < 1e-6f && rgb[3] == 0.5f && rgb[4] == 0);
  c.colour = CLIP_PREMULTIPLIED;
  kit_render_view(&c, 0, KIT_PLATE, 0.1f, rgb);
  assert_true(fabsf(rgb[0] - (0.5f + 0.75f * 0.1f)) < 1e-6f);
  kit_render_view(&c, 0, KIT_CHECKER, 0.1f, rgb);
  assert_true(rgb[0] > 0.5f && rgb[3] == 0.5f);
  clip_free(&c);

  GOOD(clip_new(&err0, 2, 33, 47, 1, &c));
  c.fps = 8;
  GOOD(kit_break_clip(&err0, &c, 5, &broken));
  GOOD(kit_break_clip(&err0, &c, 5, &again));
  GOOD(kit_break_clip(&err0, &c, 6, &other));
  int64_t n = clip_voxels(&c), ones = 0;
  assert_true(broken.frames == 2 && broken.height == 33 && broken.width == 47 && broken.fps == 8);
  assert_memory_equal(broken.rgb, again.rgb, (size_t)n * 12);
  assert_memory_not_equal(broken.rgb, other.rgb, (size_t)n * 12);
  assert_memory_not_equal(broken.rgb, broken.rgb + 3 * n / 2, (size_t)n * 6); /* it flickers */
  for (int64_t i = 0; i < n; i++) {
    assert_true(broken.rgb[3 * i] >= 0 && broken.rgb[3 * i] <= 1);
    ones += broken.alpha[i] == 1;
  }
  assert_true(ones > n / 4 && ones < 3 * n / 4);
  clip_free(&c), clip_free(&broken), clip_free(&again), clip_free(&other);
}

/* Lossless WebP comes back exactly, lossy nearly and smaller; odd sizes and one frame too. */
static void pictures_are_encoded(void **state) {
  const int shapes[][3] = {{1, 1, 1}, {1, 7, 5}, {2, 33, 31}, {5, 64, 48}};
  (void)state;
  for (int i = 0; i < 4; i++) {
    clip c = {0}, back = {0};
    char *bytes = NULL, *lossy = NULL;
    size_t n, m;
    GOOD(clip_new(&err0, shapes[i][0], shapes[i][1], shapes[i][2], 0, &c));
    c.fps = 8;
    rng_uniform((rng){.seed = 1, .stream = RNG_TEST, .sub = 5}, 0, 3 * clip_voxels(&c), c.rgb);
    video_write_options o = {.codec = VIDEO_WEBP};
    GOOD(video_encode(&err0, "x", &c, &o, &bytes, &n));
    assert_true(n > 12 && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4) && !bytes[n]);
    o.quality = 30;
    GOOD(video_encode(&err0, "x", &c, &o, &lossy, &m));
    if (i > 1) assert_true(m < n / 2);
    GOOD(video_write(&err0, scratch_path(0, "x.webp"), &c, &(video_write_options){.codec = VIDEO_WEBP}));
    char *file = NULL;
    size_t size;
    GOOD(file_read(&err0, scratch_path(0, "x.webp"), 1 << 24, &file, &size));
    assert_int_equal(size, n);
    assert_memory_equal(file, bytes, n);
    free(bytes), free(lossy), free(file);
    clip_free(&c), clip_free(&back);
  }
  clip c = {0};
  char *bytes;
  size_t n;
  err e = {0};
  GOOD(clip_new(&err0, 1, 4, 4, 0, &c));
  c.fps = 8;
  assert_int_equal(video_encode(&e, "x", &c, &(video_write_options){.quality = 5}, &bytes, &n), E_ARG);
  err_clear(&e);
  assert_int_equal(video_encode(&e, "x", &c, &(video_write_options){.codec = VIDEO_WEBP, .quality = 101}, &bytes, &n),
                   E_ARG);
  clip_free(&c);
}

static void base64_is_rfc4648(void **state) {
  static const char *const want[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  (void)state;
  for (size_t i = 0; i < 7; i++) {
    char *s = NULL;
    GOOD(base64_encode(&err0, "foobar", i, &s));
    assert_string_equal(s, want[i]);
    free(s);
  }
  char *s = NULL;
  GOOD(base64_encode(&err0, "\xff\xfe\xfd", 3, &s));
  assert_string_equal(s, "//79");
  free(s);
}

/* --- packets ------------------------------------------------------------------------------------------------------
 */

/* A packet of one who picks `a` of a pair with probability strength[a] / (strength[a] + strength[b]); `wrong` checks
 * are answered wrong; ties instead with probability `ties`. */
static text packet(const kit_key *k, int64_t who, const double *strength, int wrong, double ties) {
  text t = {0};
  text_addf(&t, "{\"format\":\"tandem-votes\",\"version\":1,\"kit\":\"%s\",\"participant\":%lld,\"answers\":[",
            k->kit, (long long)who);
  int64_t first = k->plan.first[who - 1], n = k->plan.first[who] - first;
  for (int64_t i = 0; i < n * k->n_questions; i++) {
    const kit_trial *x = &k->plan.trial[first + i % n];
    float u[2];
    rng_uniform((rng){.seed = (uint64_t)who, .stream = RNG_TEST, .sub = 91}, (uint64_t)(2 * i), 2, u);
    int left = x->left == KIT_BROKEN    ? 0
               : x->right == KIT_BROKEN ? 1
                                        : (double)u[0] < strength[x->left] / (strength[x->left] + strength[x->right]);
    int check = x->left == KIT_BROKEN || x->right == KIT_BROKEN, tie = !check && (double)u[1] < ties;
    if (check && wrong-- > 0) left = !left;
    text_addf(&t, "%s{\"trial\":%lld,\"question\":%lld,\"choice\":\"%s\",\"ms\":%d}", i ? "," : "",
              (long long)(i % n), (long long)(i / n),
              tie    ? "tie"
              : left ? "left"
                     : "right",
              700);
  }
  text_add(&t, "]}");
  GOOD(text_ok(&t, &err0));
  return t;
}

static kit_verdict verdict(const kit_key *k, const char *s) {
  kit_packet p;
  kit_votes none = {0};
  GOOD(kit_packet_judge(&err0, k, &none, s, strlen(s), &p));
  kit_verdict v = p.verdict;
  if ((v == KIT_ACCEPTED) != (p.choice != NULL)) fail_msg("answers of a packet that is %s", kit_verdict_name(v));
  kit_packet_free(&p);
  return v;
}

static void expect(const kit_key *k, const text *good, const char *from, const char *to, kit_verdict want) {
  text t = {0};
  const char *at = strstr(good->p, from);
  assert_non_null(at);
  text_addn(&t, good->p, (size_t)(at - good->p));
  text_add(&t, to);
  text_add(&t, at + strlen(from));
  GOOD(text_ok(&t, &err0));
  kit_verdict got = verdict(k, t.p);
  if (got != want)
    fail_msg("'%s' for '%s': %s, expected %s", to, from, kit_verdict_name(got), kit_verdict_name(want));
  text_free(&t);
}

static const double even[V] = {1, 1, 1};

static void hostile_packets(void **state) {
  kit_key k = make_key(3, 0);
  text good = packet(&k, 2, even, 0, 0);
  char longest[64];
  (void)state;
  assert_int_equal(verdict(&k, good.p), KIT_ACCEPTED);
  for (size_t n = 0; n < good.n; n += 13) { /* truncated anywhere */
    char *part = strndup(good.p, n);
    assert_int_equal(verdict(&k, part), KIT_NOT_JSON);
    free(part);
  }
  expect(&k, &good, "tandem-votes", "tandem-other", KIT_NO_PACKET);
  expect(&k, &good, "\"version\":1", "\"version\":2", KIT_NO_PACKET);
  expect(&k, &good, "\"version\":1", "\"version\":1e0", KIT_NO_PACKET);
  expect(&k, &good, "\"kit\":\"bbbb", "\"kit\":\"cccc", KIT_FOREIGN);
  expect(&k, &good, "\"kit\":\"bbbb", "\"kit\":7,\"x\":\"bbbb", KIT_NO_PACKET);
  static const char *const people[] = {"0",     "-1",   "7",   "1e99",           "2.5",
                                       "\"2\"", "null", "[2]", "99999999999999", "\"<img src=x onerror=alert(1)>\""};
  for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
    snprintf(longest, sizeof longest, "\"participant\":%s", people[i]);
    expect(&k, &good, "\"participant\":2", longest, KIT_NO_SUCH_PERSON);
  }
  static const char *const answers[][2] = {{"\"trial\":0", "\"trial\":-1"},
                                           {"\"trial\":0", "\"trial\":99999999"},
                                           {"\"trial\":0", "\"trial\":0.5"},
                                           {"\"trial\":0", "\"trial\":\"0\""},
                                           {"\"trial\":0", "\"trial\":-9e15"},
                                           {"\"question\":0", "\"question\":2"},
                                           {"\"question\":0", "\"question\":-1"},
                                           {"\"choice\":\"", "\"choice\":\"<b>"},
                                           {"\"ms\":700", "\"ms\":-1"},
                                           {"\"ms\":700", "\"ms\":1e300"},
                                           {"\"ms\":700", "\"ms\":null"},
                                           {"[{", "[7,{"},
                                           {"[{", "[[],{"},
                                           {"[{", "[null,{"}};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    expect(&k, &good, answers[i][0], answers[i][1], KIT_BAD_ANSWER);
  expect(&k, &good, "\"trial\":0", "\"trial\":1", KIT_REPEATED);
  expect(&k, &good, "[{\"trial\":0,\"question\":0,\"choice\":\"",
         "[{\"trial\":0,\"question\":0,\"choice\":\"tie\",\"x\":\"",
         KIT_BAD_ANSWER);                                                      /* this questionnaire has no ties */
  expect(&k, &good, "{\"format\"", "{\"kit\":\"x\",\"format\"", KIT_NOT_JSON); /* a key twice */
  const char *last = strrchr(good.p, '{');
  text cut = {0};
  text_addn(&cut, good.p, (size_t)(last - good.p) - 1);
  text_add(&cut, "]}");
  GOOD(text_ok(&cut, &err0));
  assert_int_equal(verdict(&k, cut.p), KIT_INCOMPLETE);
  assert_int_equal(verdict(&k, "[]"), KIT_NO_PACKET);
  assert_int_equal(verdict(&k, "null"), KIT_NO_PACKET);
  assert_int_equal(verdict(&k, "\xff\xfe"), KIT_NOT_JSON);
  text_free(&cut);

  /* 2 checks x 2 questions: one wrong answer is human, two are not */
  for (int wrong = 0; wrong <= 4; wrong++) {
    text t = packet(&k, 2, even, wrong, 0);
    assert_int_equal(verdict(&k, t.p), wrong > 1 ? KIT_INATTENTIVE : KIT_ACCEPTED);
    text_free(&t);
  }
  char *huge = calloc(KIT_PACKET_LIMIT + 2, 1);
  assert_non_null(huge);
  memset(huge, ' ', KIT_PACKET_LIMIT + 1);
  memcpy(huge, good.p, good.n);
  assert_int_equal(verdict(&k, huge), KIT_NOT_JSON);
  free(huge);
  text_free(&good);
  kit_key_free(&k);
}

static void votes_are_kept(void **state) {
  kit_key k = make_key(3, 1);
  kit_votes v = {0}, back = {0};
  int64_t known;
  char *path = NULL;
  struct stat st;
  (void)state;
  text one = packet(&k, 1, even, 0, 0.3), two = packet(&k, 2, even, 0, 0), bad = packet(&k, 3, even, 4, 0);
  text other = packet(&k, 1, even, 0, 0.5);
  scratch_write("one.json", one.p);
  scratch_write("copy.json", one.p);
  scratch_write("two.json", two.p);
  scratch_write("bad.json", bad.p);
  scratch_write("again.json", other.p);
  scratch_write("<b>\xff.json", "{");
  const char *files[] = {scratch_path(1, "one.json"), scratch_path(2, "copy.json"),  scratch_path(3, "two.json"),
                         scratch_path(4, "bad.json"), scratch_path(5, "again.json"), scratch_path(6, "<b>\xff.json")};
  GOOD(kit_votes_add(&err0, &k, files, 6, &v, &known));
  assert_true(v.n == 5 && known == 1);
  const kit_verdict want[] = {KIT_ACCEPTED, KIT_ACCEPTED, KIT_INATTENTIVE, KIT_SECOND, KIT_NOT_JSON};
  for (int i = 0; i < 5; i++) assert_int_equal(v.at[i].verdict, want[i]);
  assert_string_equal(v.at[4].file, "<b>?.json");
  GOOD(kit_votes_path(&err0, scratch_path(0, "key.json"), &path));
  GOOD(kit_votes_write(&err0, path, &k, &v));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  GOOD(kit_votes_read(&err0, path, &k, &back));
  assert_int_equal(back.n, 5);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(back.at[i].verdict, v.at[i].verdict);
    assert_string_equal(back.at[i].sha256, v.at[i].sha256);
    if (v.at[i].choice)
      assert_memory_equal(back.at[i].choice, v.at[i].choice,
                          (size_t)((k.plan.first[v.at[i].participant] - k.plan.first[v.at[i].participant - 1]) * Q));
  }
  GOOD(kit_votes_add(&err0, &k, files, 6, &back, &known)); /* all over again changes nothing */
  assert_true(back.n == 5 && known == 6);
  err e = {0};
  files[1] = "/nonexistent/votes.json";
  int64_t before = v.n;
  assert_int_equal(kit_votes_add(&e, &k, files, 2, &v, &known), E_IO);
  assert_int_equal(v.n, before);
  kit_votes_free(&back);
  k.kit[0] = 'c';
  err_clear(&e);
  assert_int_equal(kit_votes_read(&e, path, &k, &back), E_FORMAT);
  k.kit[0] = 'b';
  scratch_write("votes.json", "{\"format\": \"tandem-kit-votes\", \"version\": 1, \"kit\": \"");
  err_clear(&e);
  assert_int_equal(kit_votes_read(&e, path, &k, &back), E_FORMAT);
  free(path);
  text_free(&one), text_free(&two), text_free(&bad), text_free(&other);
  kit_votes_free(&v);
  kit_key_free(&k);
}

/* --- report -------------------------------------------------------------------------------------------------------
 */

static kit_votes vote(const kit_key *k, int64_t people, const double *strength, double ties) {
  kit_votes v = {0};
  GOOD(mem_grow(&err0, &v.at, &v.cap, people, sizeof *v.at, "votes"));
  for (int64_t i = 0; i < people; i++) {
    text t = packet(k, i + 1, strength, 0, ties);
    GOOD(kit_packet_judge(&err0, k, &v, t.p, t.n, &v.at[v.n]));
    assert_int_equal(v.at[v.n].verdict, KIT_ACCEPTED);
    v.at[v.n++].file = copy("f");
    text_free(&t);
  }
  return v;
}

static kit_report report_of(const kit_key *k, const kit_votes *v) {
  kit_report r;
  kit_report_options o = {.replicates = 200, .level = 0.95, .seed = 1};
  GOOD(kit_report_make(&err0, k, v, NULL, &o, &r));
  return r;
}

static const json *find_fact(const json *facts, const char *kind, const char *question, const char *name) {
  for (const json *f = facts->child; f; f = f->next) {
    const json *q = json_get(f, "question"), *v = json_get(f, "variant");
    if (!strcmp(json_get(f, "kind")->str, kind) && (!question || (q && !strcmp(q->str, question))) &&
        (!name || (v && !strcmp(v->str, name))))
      return f;
  }
  fail_msg("no fact %s", kind);
  return NULL;
}

/* 60 people, strengths known: sides, variants and names are put together again correctly. */
static void voters_are_recovered(void **state) {
  const double strength[V] = {0.2, 0.7, 0.1};
  kit_key k = make_key(3, 1);
  kit_shape s = {.variants = V, .prompts = P, .participants = 60, .votes = 40, .checks = 2, .seed = 8};
  (void)state;
  kit_plan_free(&k.plan);
  GOOD(kit_plan_make(&err0, &s, &k.plan));
  kit_votes v = vote(&k, 60, strength, 0);
  kit_report r = report_of(&k, &v);
  text t = {0};
  for (int q = 0; q < Q; q++) {
    const kit_result *x = &r.question[q];
    assert_true(x->votes == 3 * P * 40 && x->ties == 0 && x->prompts == P && x->units == 3 * P);
    for (int i = 0; i < V; i++) {
      assert_true(fabs(x->preference.p[i] - strength[i]) < 0.06);
      assert_true(x->preference.strength[i].lo < x->preference.strength[i].hi);
    }
    assert_true(x->alpha_defined && x->alpha > 0.1 && x->alpha < 0.6);
  }
  assert_true(r.packets[KIT_ACCEPTED] == 60 && r.no_agreement);
  GOOD(kit_report_render(&err0, &k, &r, TABLE_JSON, &t));
  json *j = NULL;
  GOOD(json_parse(&err0, "report", t.p, t.n, &j));
  const json *f = find_fact(json_get(j, "facts"), "win_rate", "motion", "heron-variant");
  assert_int_equal((int64_t)json_get(f, "n")->num, 2 * P * 40);
  assert_true(json_get(f, "value")->num == r.question[0].preference.rate[1].value);
  assert_true(json_get(f, "wilson_lo")->num < json_get(f, "value")->num);
  json_free(j);
  text_free(&t);
  for (int format = TABLE_TERMINAL; format <= TABLE_JSON; format++) {
    text a = {0}, b = {0};
    GOOD(kit_report_render(&err0, &k, &r, (table_format)format, &a));
    GOOD(kit_report_render(&err0, &k, &r, (table_format)format, &b));
    assert_string_equal(a.p, b.p);
    assert_non_null(strstr(a.p, "heron-variant") ? strstr(a.p, "heron-variant") : strstr(a.p, "heron\\-variant"));
    assert_null(strstr(a.p, "nan"));
    text_free(&a), text_free(&b);
  }
  kit_report_free(&r, &k);
  kit_votes_free(&v);
  kit_key_free(&k);
}

static void check_text(const kit_key *k, const kit_report *r, const char *part) {
  text t = {0};
  GOOD(kit_report_render(&err0, k, r, TABLE_TERMINAL, &t));
  if (!strstr(t.p, part)) fail_msg("'%s' is missing in:\n%s", part, t.p);
  assert_null(strstr(t.p, "nan"));
  text_free(&t);
}

static void few_votes(void **state) {
  kit_key k = make_key(3, 1);
  (void)state;
  kit_votes none = {0}, one = vote(&k, 1, even, 0), ties = vote(&k, 6, even, 2);
  kit_report r = report_of(&k, &none);
  assert_true(!r.question[0].votes && !r.question[0].preference.defined && !r.question[0].alpha_defined);
  check_text(&k, &r, "0 of 6 participants accepted");
  kit_report_free(&r, &k);

  r = report_of(&k, &one); /* prompts of that one person only */
  assert_true(r.question[0].votes == k.plan.first[1] - 2 && r.question[0].prompts <= P);
  assert_true(r.question[0].preference.rate[0].replicates > 0 && !r.question[0].units);
  check_text(&k, &r, "no pair was judged twice");
  kit_report_free(&r, &k);

  r = report_of(&k, &ties);
  assert_true(r.question[1].ties == r.question[1].votes && r.question[1].votes == 3 * P * 4);
  for (int i = 0; i < V; i++) assert_true(r.question[1].preference.rate[i].value == 0.5);
  check_text(&k, &r, "all answers are the same");
  kit_report_free(&r, &k);
  kit_votes_free(&one), kit_votes_free(&ties);
  kit_key_free(&k);
}

static int open_folder(void **state) {
  (void)state;
  scratch_open();
  return 0;
}

static int close_folder(void **state) {
  (void)state;
  scratch_close();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plans_are_balanced),
      cmocka_unit_test(plans_follow_their_seed),
      cmocka_unit_test(impossible_plans),
      cmocka_unit_test(page_is_blind_and_well_formed),
      cmocka_unit_test(keys_come_back),
      cmocka_unit_test(questions_from_a_file),
      cmocka_unit_test(views_and_broken_clips),
      cmocka_unit_test(pictures_are_encoded),
      cmocka_unit_test(base64_is_rfc4648),
      cmocka_unit_test(hostile_packets),
      cmocka_unit_test(votes_are_kept),
      cmocka_unit_test(voters_are_recovered),
      cmocka_unit_test(few_votes),
  };
  return cmocka_run_group_tests(tests, open_folder, close_folder);
}
