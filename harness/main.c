/* The verbs of the program, in the order of its help. */
#include "cli/cli.h"
#include "cli/verbs.h"

static const cli_verb *const verbs[] = {&verb_demo,      &verb_doctor,
                                        &verb_check,     &verb_plan,
                                        &verb_run,       &verb_status,
                                        &verb_why,       &verb_log,
                                        &verb_retry,     &verb_cancel,
                                        &verb_reset,     &verb_rm,
                                        &verb_gc,        &verb_verify,
                                        &verb_table,     &verb_figure,
                                        &verb_sheet,     &verb_report,
                                        &verb_paper,     &verb_compare,
                                        &verb_baseline,  &verb_gate,
                                        &verb_study_kit, &verb_generate,
                                        &verb_score,     &verb_pretrain,
                                        &verb_metrics,   &verb_show,
                                        &verb_sql,       &verb_inspect,
                                        &verb_forward,   &verb_t5,
                                        &verb_vae,       &verb_flow,
                                        &verb_man,       &verb_completion,
                                        &verb_version,   NULL};

int main(int argc, char **argv) {
  return cli_main(verbs, argc, argv);
}
