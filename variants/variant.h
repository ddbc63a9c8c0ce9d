/* Joint designs as plug-ins: one file a design, one line in variants.def.
 *
 * A design is written NAME or NAME:option=value,option=value, or as an alias of aliases.def; that text names it in
 * studies, files and tables. */
#ifndef TD_VARIANTS_VARIANT_H
#define TD_VARIANTS_VARIANT_H

#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "model/layout.h"

#define DESIGN_OPTIONS 12
#define DESIGN_TEXT 256

/* What a change of the option makes obsolete; goes into the keys of those stages only. */
typedef enum option_stage { OPTION_TRAIN = 1, OPTION_SAMPLE = 2 } option_stage;

/* A choice among named values; a switch is the choice "off", "on". An option without values takes a text without
 * commas, which is no part of the design: a study keeps it as its setting VARIANT.OPTION. */
typedef struct variant_option {
  const char *name, *help;
  const char *const *values; /* NULL-terminated; NULL: a text */
  int initial;               /* index of the default */
  int stages;                /* option_stage bits */
} variant_option;

typedef struct design design;

typedef struct variant {
  const char *name, *help, *source;             /* source: paper section or file it must match */
  const variant_option *options;                /* ended by a NULL name */
  void (*settle)(design *d);                    /* may be NULL: folds several spellings of one design into one */
  void (*layout)(const design *d, layout *out); /* NULL: no model runs, clips are read from files */
} variant;

/* A variant with its options chosen: value[i] indexes options[i].values. Plain data, copy freely. */
struct design {
  const variant *v;
  int value[DESIGN_OPTIONS];
};

/* The variants that a model runs, NULL-terminated, in the order of variants.def. */
const variant *const *variant_list(void);
/* The others, whose clips are read from files (imports.def). */
const variant *const *variant_imports(void);
/* Reads a name, alias or NAME:options text. The message lists the known names and the nearest one. */
int design_parse(err *e, const char *s, design *out) TD_MUST_CHECK;
/* Canonical text: name, then only the options that differ from their defaults, in table order. With `stages` only
 * options of those stages appear (OPTION_TRAIN gives the name of the adapter). */
void design_print(const design *d, int stages, char out[DESIGN_TEXT]);
/* Chosen value of an option, as its text; the option must exist. */
const char *design_get(const design *d, const char *option);
int design_is(const design *d, const char *option, const char *value);
/* All zero for a design that runs no model. */
void design_layout(const design *d, layout *out);
/* Are its clips read from files? */
int design_imports(const design *d);
/* Text of an option without values in a design's text: its length, 0 when it is not there; *at is where it begins. */
size_t design_text(const char *s, const char *option, const char **at);

/* For variants: every segment sees every segment, without bias. */
void layout_see_all(layout *l);

typedef struct design_alias {
  const char *name, *meaning, *help;
} design_alias;
/* Ended by a NULL name. */
const design_alias *design_aliases(void);

#endif
