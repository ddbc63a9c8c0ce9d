/* configs/study.schema.json is what the tables of the code say. `test_study_schema --print` prints it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/text.h"
#include "metrics/metric.h"
#include "study/spec.h"
#include "study/study.h"
#include "variants/variant.h"

static void put(json *o, const char *key, json *v) {
  if (json_set(o, key, v) != OK) fail_msg("no memory for %s", key);
}

static json *parsed(const char *s) {
  err e = {0};
  json *j = NULL;
  if (json_parse(&e, "schema", s, strlen(s), &j) != OK) fail_msg("%s", e.text);
  return j;
}

static json *text_enum(const char *const *words) {
  json *o = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  for (int i = 0; words[i]; i++)
    if (json_push(list, json_new_string(words[i])) != OK) fail_msg("no memory");
  put(o, "enum", list);
  return o;
}

static json *of_type(const char *type) {
  json *o = json_new(JSON_OBJECT);
  put(o, "type", json_new_string(type));
  return o;
}

static void bounds(json *o, const setting *s) {
  put(o, "minimum", json_new_number(s->lo));
  put(o, "maximum", json_new_number(s->hi));
}

static json *any_of(json *a, json *b) {
  json *o = json_new(JSON_OBJECT), *list = json_new(JSON_ARRAY);
  if (json_push(list, a) != OK || json_push(list, b) != OK) fail_msg("no memory");
  put(o, "anyOf", list);
  return o;
}

static json *ref(const char *name) {
  char path[96];
  json *o = json_new(JSON_OBJECT);
  snprintf(path, sizeof path, "#/definitions/%s", name);
  put(o, "$ref", json_new_string(path));
  return o;
}

/* A value of the setting, or a text with an argument of the study in it. */
static json *value_schema(const setting *s) {
  json *o = NULL;
  if (s->kind == SETTING_FILE) {
    o = of_type("string");
  } else if (s->choices) {
    o = text_enum(s->choices);
  } else if (s->kind == SETTING_SIZE) {
    json *item = of_type("integer");
    bounds(item, s);
    o = of_type("array");
    put(o, "items", item);
    put(o, "minItems", json_new_number(2));
    put(o, "maxItems", json_new_number(2));
  } else {
    o = of_type(s->kind == SETTING_INT ? "integer" : "number");
    bounds(o, s);
  }
  if (s->kind != SETTING_FILE) o = any_of(o, parsed("{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{[^}]+\\\\}\"}"));
  put(o, "description", json_new_string(s->help));
  return o;
}

/* Nested: sections, and sections of sections (resources.train.minutes). Dotted: whole paths. */
static void add_nested(json *root, const char *path, json *value) {
  const char *dot = strchr(path, '.');
  if (!dot) {
    put(root, path, value);
    return;
  }
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)(dot - path), path);
  json *section = (json *)(uintptr_t)json_get(root, name);
  if (!section) {
    section = parsed("{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false,"
                     "\"patternProperties\":{\"^//\":{}}}");
    put(root, name, section);
  }
  add_nested((json *)(uintptr_t)json_get(section, "properties"), dot + 1, value);
}

static json *ref_value(const setting *s) {
  char name[80];
  snprintf(name, sizeof name, "values/%s", s->path);
  return ref(name);
}

static json *settings_schema(json *more) {
  json *o = parsed("{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}}}");
  for (const setting *s = spec_settings(); s->path; s++) {
    add_nested(more, s->path, ref_value(s));
    put(more, s->path, ref_value(s));
  }
  put(o, "properties", more);
  return o;
}

static json *variants_schema(void) {
  json *o = of_type("object"), *more = json_new(JSON_OBJECT);
  put(more, "design", parsed("{\"type\":\"string\"}"));
  json *own = settings_schema(more);
  put(own, "required", parsed("[\"design\"]"));
  put(o, "additionalProperties", any_of(parsed("{\"type\":[\"string\",\"null\"]}"), own));
  put(o, "patternProperties", parsed("{\"^//\":{}}"));
  return o;
}

/* Members of the file that are not settings, as docs/studies.md has them. */
static const char *const members[][2] = {
    {"schema", "{\"const\":1}"},
    {"study", "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}"},
    {"help", "{\"type\":\"string\"}"},
    {"extends", "{\"type\":[\"array\",\"string\"],\"items\":{\"type\":\"string\"}}"},
    {"args",
     "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"object\",\"string\"],\"properties\":{\"help\":"
     "{\"type\":\"string\"},\"default\":{}}}}"},
    {"reference_variant", "{\"type\":\"string\"}"},
    {"matrix",
     "{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},\"properties\":{"
     "\"axes\":{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},"
     "\"properties\":{\"variant\":{},\"train_seed\":{\"$ref\":\"#/definitions/seeds\"},\"sample_seed\":"
     "{\"$ref\":\"#/definitions/seeds\"},\"prompt\":{}}},\"zip\":{\"type\":\"array\"},\"one_at_a_time\":"
     "{\"type\":\"object\"},\"include\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"exclude\":"
     "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}"},
    {"prompts",
     "{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},\"properties\":{"
     "\"file\":{\"type\":\"string\"},\"list\":{\"type\":\"array\"},\"sha256\":{\"type\":\"string\",\"pattern\":"
     "\"^[0-9a-f]{64}$\"}}}"},
    {"metrics", "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"object\"]}}"},
    {"primary", "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"object\"]}}"},
    {"contrasts",
     "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalProperties\":false,"
     "\"patternProperties\":{\"^//\":{}},\"required\":[\"metric\",\"variant\"],\"properties\":{\"metric\":{},"
     "\"variant\":{\"type\":\"string\"},\"against\":{\"type\":\"string\"}}}}"},
    {"not_in_key", "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"},
    {"paper",
     "{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},\"properties\":{"
     "\"tables\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"numbers\":{\"type\":\"string\"}}}"},
    {"gate",
     "{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},\"required\":[\"file\"],"
     "\"properties\":{\"file\":{\"type\":\"string\",\"minLength\":1}}}"},
    {"pairing",
     "{\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^//\":{}},\"properties\":{"
     "\"noise\":{\"const\":\"counter\"},\"share\":{\"type\":\"array\",\"minItems\":3,\"items\":{\"enum\":[\"prompt\","
     "\"sample_seed\",\"train_seed\"]}}}}"},
};
#define MEMBERS ((int)(sizeof members / sizeof members[0]))

static json *schema(void) {
  json *o = parsed("{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"Tandem study file\","
                   "\"type\":\"object\",\"required\":[\"schema\"],\"additionalProperties\":false,"
                   "\"patternProperties\":{\"^//\":{}}}");
  json *own = json_new(JSON_OBJECT), *definitions = json_new(JSON_OBJECT);
  for (int i = 0; i < MEMBERS; i++) put(own, members[i][0], parsed(members[i][1]));
  json *settings = settings_schema(json_new(JSON_OBJECT));
  const json *sections = json_get(settings, "properties");
  put(own, "resources", json_copy(json_get(sections, "resources")));
  put(own, "base", ref("settings"));
  put(own, "variants", variants_schema());
  json *values = json_new(JSON_OBJECT);
  for (const setting *x = spec_settings(); x->path; x++) put(values, x->path, value_schema(x));
  put(definitions, "values", values);
  put(definitions, "settings", settings);
  put(definitions, "seeds",
      parsed(
          "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"},{\"type\":"
          "\"array\",\"items\":{\"type\":[\"integer\",\"string\"]}},{\"type\":\"object\",\"additionalProperties\":"
          "false,\"properties\":{\"count\":{\"type\":\"integer\",\"minimum\":1},\"from\":{\"type\":[\"integer\","
          "\"string\"]}}}]}"));
  put(o, "properties", own);
  put(o, "definitions", definitions);
  return o;
}

static void the_file_is_what_the_tables_say(void **state) {
  (void)state;
  err e = {0};
  char path[1024], *have = NULL;
  size_t n;
  text want = {0};
  json *j = schema();
  json_print(&want, j);
  text_add(&want, "\n");
  snprintf(path, sizeof path, "%s/configs/study.schema.json", getenv("TANDEM_SOURCE"));
  if (file_read(&e, path, 1 << 22, &have, &n) != OK) fail_msg("%s", e.text);
  assert_true(want.n > 10000);
  if (strcmp(have, want.p) != 0) fail_msg("%s is old: test_study_schema --print > %s", path, path);
  free(have);
  text_free(&want);
  json_free(j);
}

/* The members of the schema are those that the reader knows. */
static void members_are_the_readers(void **state) {
  (void)state;
  json *j = schema();
  const json *own = json_get(j, "properties");
  int n = 0;
  for (const char *const *m = study_members(); *m; m++, n++)
    if (!json_get(own, *m)) fail_msg("the schema has no member '%s'", *m);
  assert_int_equal(json_count(own), n);
  json_free(j);
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "--print")) {
    text t = {0};
    json *j = schema();
    json_print(&t, j);
    puts(t.p);
    text_free(&t);
    json_free(j);
    return 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_file_is_what_the_tables_say),
                                     cmocka_unit_test(members_are_the_readers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
