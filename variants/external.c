/* RGBA clips of another program: nothing is trained or sampled, every clip is a file of a folder. */
#include "variants/variant.h"

static const char *const colours[] = {"straight", "decoded", "premultiplied", NULL};

static const variant_option options[] = {
    {"dir", "folder of the clips, relative to the study file: PROMPT_SEED.* or PROMPT/SEED.*", NULL, 0,
     OPTION_SAMPLE},
    {"colour", "what RGB means in files that do not say", colours, 0, OPTION_SAMPLE},
    {0}};

const variant variant_external = {.name = "external",
                                  .help = "RGBA clips that another program made, read from a folder",
                                  .source = "the program that made them",
                                  .options = options};
