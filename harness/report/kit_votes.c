#include "report/kit_votes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

#define PACKET_FORMAT "tandem-votes"
#define FILE_FORMAT "tandem-kit-votes"
enum { VERSION = 1, LONGEST_MS = 86400000 };

static const struct {
  const char *name, *help;
} verdicts[KIT_VERDICTS] = {
    [KIT_ACCEPTED] = {"accepted", "accepted"},
    [KIT_NOT_JSON] = {"not_json", "not JSON, truncated, or too large"},
    [KIT_NO_PACKET] = {"no_packet", "not a packet of answers"},
    [KIT_FOREIGN] = {"foreign", "answers to another questionnaire"},
    [KIT_NO_SUCH_PERSON] = {"no_such_participant", "a participant number that does not exist"},
    [KIT_BAD_ANSWER] = {"bad_answer", "an answer to a question that does not exist, or no such choice"},
    [KIT_REPEATED] = {"repeated_answer", "a question answered twice"},
    [KIT_INCOMPLETE] = {"incomplete", "answers are missing"},
    [KIT_INATTENTIVE] = {"inattentive", "too many attention checks failed"},
    [KIT_SECOND] = {"second_packet", "another packet of this participant was accepted before"},
};

static const char *const choices[] = {"", "left", "right", "tie"};

const char *kit_verdict_name(kit_verdict v) {
  return verdicts[v].name;
}

const char *kit_verdict_help(kit_verdict v) {
  return verdicts[v].help;
}

/* --- one packet ---------------------------------------------------------------------------------------------------
 */

static const char *string_of(const json *object, const char *name) {
  const json *v = json_get(object, name);
  return v && v->type == JSON_STRING ? v->str : NULL;
}

/* A whole number of [lo, hi]; anything else is lo - 1. */
static int64_t number_of(const json *object, const char *name, int64_t lo, int64_t hi) {
  const json *v = json_get(object, name);
  if (!v || v->type != JSON_NUMBER || !v->is_int || v->num < (double)lo || v->num > (double)hi) return lo - 1;
  return (int64_t)v->num;
}

static int64_t trials_of(const kit_key *k, int64_t participant) {
  return k->plan.first[participant] - k->plan.first[participant - 1];
}

static const kit_trial *trial_of(const kit_key *k, int64_t participant, int64_t i) {
  return &k->plan.trial[k->plan.first[participant - 1] + i];
}

static kit_verdict check_head(const kit_key *k, const json *root, int64_t *participant) {
  const char *format = string_of(root, "format"), *kit = string_of(root, "kit");
  const json *answers = json_get(root, "answers");
  if (!format || strcmp(format, PACKET_FORMAT) || number_of(root, "version", VERSION, VERSION) != VERSION || !kit ||
      !answers || answers->type != JSON_ARRAY)
    return KIT_NO_PACKET;
  if (strcmp(kit, k->kit)) return KIT_FOREIGN;
  *participant = number_of(root, "participant", 1, k->plan.participants);
  return *participant < 1 ? KIT_NO_SUCH_PERSON : KIT_ACCEPTED;
}

static kit_choice choice_of(const kit_key *k, const json *answer) {
  const char *word = string_of(answer, "choice");
  for (int c = KIT_LEFT; word && c <= (k->ties ? KIT_TIE : KIT_RIGHT); c++)
    if (!strcmp(word, choices[c])) return (kit_choice)c;
  return KIT_UNANSWERED;
}

static kit_verdict check_answers(const kit_key *k, const json *answers, const kit_packet *p) {
  int64_t n = trials_of(k, p->participant) * k->n_questions, seen = 0;
  for (const json *a = answers->child; a; a = a->next) {
    int64_t t = number_of(a, "trial", 0, trials_of(k, p->participant) - 1);
    int64_t q = number_of(a, "question", 0, k->n_questions - 1);
    kit_choice c = choice_of(k, a);
    if (a->type != JSON_OBJECT || t < 0 || q < 0 || c == KIT_UNANSWERED || number_of(a, "ms", 0, LONGEST_MS) < 0)
      return KIT_BAD_ANSWER;
    if (p->choice[t * k->n_questions + q]) return KIT_REPEATED;
    p->choice[t * k->n_questions + q] = (unsigned char)c;
    seen++;
  }
  return seen == n ? KIT_ACCEPTED : KIT_INCOMPLETE;
}

static kit_verdict check_attention(const kit_key *k, kit_packet *p) {
  for (int64_t t = 0; t < trials_of(k, p->participant); t++) {
    const kit_trial *x = trial_of(k, p->participant, t);
    if (x->left != KIT_BROKEN && x->right != KIT_BROKEN) continue;
    kit_choice right = x->left == KIT_BROKEN ? KIT_RIGHT : KIT_LEFT;
    for (int64_t q = 0; q < k->n_questions; q++, p->checks++)
      p->wrong_checks += p->choice[t * k->n_questions + q] != right;
  }
  return 4 * p->wrong_checks > p->checks ? KIT_INATTENTIVE : KIT_ACCEPTED;
}

static kit_verdict check_new(const kit_votes *before, const kit_packet *p) {
  for (int64_t i = 0; i < before->n; i++)
    if (before->at[i].verdict == KIT_ACCEPTED && before->at[i].participant == p->participant) return KIT_SECOND;
  return KIT_ACCEPTED;
}

static int judge(err *e, const kit_key *k, const kit_votes *before, const json *root, kit_packet *p) {
  int rc = OK;
  p->verdict = check_head(k, root, &p->participant);
  if (p->verdict != KIT_ACCEPTED) {
    p->participant = 0;
    goto out;
  }
  TRY(mem_new(e, trials_of(k, p->participant) * k->n_questions, 1, "answers", &p->choice));
  p->verdict = check_answers(k, json_get(root, "answers"), p);
  if (p->verdict == KIT_ACCEPTED) p->verdict = check_attention(k, p);
  if (p->verdict == KIT_ACCEPTED) p->verdict = check_new(before, p);
out:
  return rc;
}

int kit_packet_judge(err *e, const kit_key *k, const kit_votes *before, const char *data, size_t n, kit_packet *out) {
  int rc = OK;
  json *root = NULL;
  err why = {0};
  *out = (kit_packet){.verdict = KIT_NOT_JSON};
  TRY(hash_bytes(e, data, n, out->sha256));
  if (n > KIT_PACKET_LIMIT) goto out;
  rc = json_parse(&why, "packet", data, n, &root);
  if (rc == E_NOMEM) FAIL(e, rc, "%s", why.text);
  rc = OK;
  if (root) TRY(judge(e, k, before, root, out));
out:
  if (out->verdict != KIT_ACCEPTED || rc != OK) free(out->choice), out->choice = NULL;
  json_free(root);
  return rc;
}

void kit_packet_free(kit_packet *p) {
  free(p->file), free(p->choice);
  *p = (kit_packet){0};
}

/* --- the file -----------------------------------------------------------------------------------------------------
 */

int kit_votes_path(err *e, const char *key_path, char **out) {
  int rc = OK;
  text t = {0};
  const char *slash = strrchr(key_path, '/');
  *out = NULL;
  if (slash) text_addn(&t, key_path, (size_t)(slash - key_path) + 1);
  text_add(&t, "votes.json");
  TRY(text_ok(&t, e));
  *out = t.p;
  t.p = NULL;
out:
  text_free(&t);
  return rc;
}

static int damaged(err *e, const char *path, const json *at) {
  return err_set(e, E_FORMAT, "%s:%d:%d: this is not what `study-kit import` wrote; put it aside and import again",
                 path, at ? at->line : 1, at ? at->col : 1);
}

static int read_choices(const kit_key *k, const char *s, kit_packet *p) {
  int64_t n = trials_of(k, p->participant) * k->n_questions;
  if (!s || (int64_t)strlen(s) != n) return 0;
  for (int64_t i = 0; i < n; i++) {
    int c = s[i] == 'l' ? KIT_LEFT : s[i] == 'r' ? KIT_RIGHT : s[i] == 't' && k->ties ? KIT_TIE : KIT_UNANSWERED;
    if (c == KIT_UNANSWERED) return 0;
    p->choice[i] = (unsigned char)c;
  }
  return 1;
}

static int read_packet(err *e, const char *path, const kit_key *k, const json *j, kit_packet *p) {
  int rc = OK;
  const char *sha = string_of(j, "sha256"), *word = string_of(j, "verdict"), *file = string_of(j, "file");
  if (!sha || strlen(sha) != HASH_HEX - 1 || !word || !file) return damaged(e, path, j);
  memcpy(p->sha256, sha, HASH_HEX);
  TRY(mem_strdup(e, file, &p->file));
  p->verdict = KIT_VERDICTS;
  for (int v = 0; v < KIT_VERDICTS; v++)
    if (!strcmp(word, verdicts[v].name)) p->verdict = (kit_verdict)v;
  p->participant = number_of(j, "participant", 0, k->plan.participants);
  p->wrong_checks = number_of(j, "wrong_checks", 0, INT32_MAX);
  p->checks = number_of(j, "checks", 0, INT32_MAX);
  if (p->verdict == KIT_VERDICTS || p->participant < 0 || p->wrong_checks < 0 || p->checks < 0)
    return damaged(e, path, j);
  if (p->verdict != KIT_ACCEPTED) goto out;
  if (p->participant < 1) return damaged(e, path, j);
  TRY(mem_new(e, trials_of(k, p->participant) * k->n_questions, 1, "answers", &p->choice));
  if (!read_choices(k, string_of(j, "choices"), p)) rc = damaged(e, path, j);
out:
  return rc;
}

int kit_votes_read(err *e, const char *path, const kit_key *k, kit_votes *out) {
  int rc = OK;
  json *root = NULL;
  *out = (kit_votes){0};
  if (!file_exists(path)) return OK;
  TRY(json_read(e, path, &root));
  const char *format = string_of(root, "format"), *kit = string_of(root, "kit");
  const json *list = json_get(root, "packets");
  if (!format || strcmp(format, FILE_FORMAT) || number_of(root, "version", VERSION, VERSION) != VERSION || !kit ||
      !list || list->type != JSON_ARRAY)
    TRY(damaged(e, path, root));
  if (strcmp(kit, k->kit)) FAIL(e, E_FORMAT, "%s: these are votes of another questionnaire", path);
  TRY(mem_grow(e, &out->at, &out->cap, json_count(list), sizeof *out->at, "votes"));
  for (const json *j = list->child; j; j = j->next) {
    kit_packet *p = &out->at[out->n++];
    TRY(read_packet(e, path, k, j, p));
    if (p->verdict == KIT_ACCEPTED && check_new(&(kit_votes){.at = out->at, .n = out->n - 1}, p) != KIT_ACCEPTED)
      TRY(damaged(e, path, j));
  }
out:
  json_free(root);
  if (rc != OK) kit_votes_free(out);
  return rc;
}

static void print_packet(const kit_key *k, const kit_packet *p, text *t) {
  text_addf(t, "{\"sha256\": \"%s\", \"file\": ", p->sha256);
  text_add_json(t, p->file);
  text_addf(t, ", \"participant\": %lld, \"verdict\": \"%s\", \"wrong_checks\": %lld, \"checks\": %lld",
            (long long)p->participant, verdicts[p->verdict].name, (long long)p->wrong_checks, (long long)p->checks);
  if (p->choice) {
    text_add(t, ", \"choices\": \"");
    for (int64_t i = 0; i < trials_of(k, p->participant) * k->n_questions; i++)
      text_addn(t, choices[p->choice[i]], 1);
    text_add(t, "\"");
  }
  text_add(t, "}");
}

int kit_votes_write(err *e, const char *path, const kit_key *k, const kit_votes *v) {
  int rc = OK;
  text t = {0};
  text_addf(&t, "{\n  \"format\": \"" FILE_FORMAT "\",\n  \"version\": %d,\n  \"kit\": \"%s\",\n  \"packets\": [",
            VERSION, k->kit);
  for (int64_t i = 0; i < v->n; i++) {
    text_add(&t, i ? ",\n    " : "\n    ");
    print_packet(k, &v->at[i], &t);
  }
  text_add(&t, "\n  ]\n}\n");
  TRY(text_ok(&t, e));
  TRY(file_write_private(e, path, t.p, t.n));
out:
  text_free(&t);
  return rc;
}

void kit_votes_free(kit_votes *v) {
  for (int64_t i = 0; i < v->n; i++) kit_packet_free(&v->at[i]);
  free(v->at);
  *v = (kit_votes){0};
}

/* A name to find the file by again; a stranger's bytes that are not UTF-8 become '?'. */
static int name_of(err *e, const char *path, char **out) {
  const char *slash = strrchr(path, '/');
  int rc = mem_strdup(e, slash ? slash + 1 : path, out);
  if (rc != OK) return rc;
  for (char *s = *out; *s;) {
    size_t n = utf8_length(s, strlen(s));
    if (!n) *s = '?', n = 1;
    s += n;
  }
  return OK;
}

/* Only as much as shows that it is too much. */
static int read_packet_file(err *e, const char *path, char **data, size_t *n) {
  int rc = OK;
  FILE *f = fopen(path, "rb");
  *data = NULL;
  if (!f) return err_set(e, E_IO, "%s: cannot be read", path);
  TRY(mem_new(e, KIT_PACKET_LIMIT + 1, 1, "packet", data));
  *n = fread(*data, 1, KIT_PACKET_LIMIT + 1, f);
  if (ferror(f)) FAIL(e, E_IO, "%s: cannot be read", path);
out:
  fclose(f);
  return rc;
}

static int is_known(const kit_votes *v, const char *sha256) {
  for (int64_t i = 0; i < v->n; i++)
    if (!strcmp(v->at[i].sha256, sha256)) return 1;
  return 0;
}

int kit_votes_add(err *e, const kit_key *k, const char *const *files, int64_t n, kit_votes *v, int64_t *known) {
  int rc = OK;
  int64_t before = v->n;
  char *data = NULL;
  kit_packet one = {0};
  *known = 0;
  TRY(mem_grow(e, &v->at, &v->cap, v->n + n, sizeof *v->at, "votes"));
  for (int64_t i = 0; i < n; i++) {
    size_t bytes = 0;
    TRY(read_packet_file(e, files[i], &data, &bytes));
    TRY(kit_packet_judge(e, k, v, data, bytes, &one));
    free(data), data = NULL;
    if (is_known(v, one.sha256)) {
      ++*known;
      kit_packet_free(&one);
      continue;
    }
    TRY(name_of(e, files[i], &one.file));
    v->at[v->n++] = one;
    one = (kit_packet){0};
  }
out:
  free(data);
  kit_packet_free(&one);
  while (rc != OK && v->n > before) kit_packet_free(&v->at[--v->n]);
  return rc;
}
