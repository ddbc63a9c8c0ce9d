/* The verbs of the program, in the order of its help. */
#include "cli/cli.h"
#include "cli/verbs.h"

static const cli_verb *const verbs[] = {&verb_demo,      &verb_doctor,  &verb_check,    &verb_run,     &verb_status,
                                        &verb_table,     &verb_figure,  &verb_sheet,    &verb_report,  &verb_paper,
                                        &verb_study_kit, &verb_score,   &verb_pretrain, &verb_metrics, &verb_show,
                                        &verb_sql,       &verb_forward, &verb_flow,     &verb_version, NULL};

int main(int argc, char **argv) {
  return cli_main(verbs, argc, argv);
}
