/* One const struct a verb, each in the file of its name. A line here and one in main.c makes a verb. */
#ifndef TD_CLI_VERBS_H
#define TD_CLI_VERBS_H

#include "cli/cli.h"

extern const cli_verb verb_baseline;
extern const cli_verb verb_cancel;
extern const cli_verb verb_check;
extern const cli_verb verb_compare;
extern const cli_verb verb_completion;
extern const cli_verb verb_demo;
extern const cli_verb verb_doctor;
extern const cli_verb verb_figure;
extern const cli_verb verb_flow;
extern const cli_verb verb_forward;
extern const cli_verb verb_gate;
extern const cli_verb verb_gc;
extern const cli_verb verb_generate;
extern const cli_verb verb_inspect;
extern const cli_verb verb_log;
extern const cli_verb verb_man;
extern const cli_verb verb_metrics;
extern const cli_verb verb_paper;
extern const cli_verb verb_plan;
extern const cli_verb verb_pretrain;
extern const cli_verb verb_report;
extern const cli_verb verb_reset;
extern const cli_verb verb_retry;
extern const cli_verb verb_rm;
extern const cli_verb verb_run;
extern const cli_verb verb_score;
extern const cli_verb verb_sheet;
extern const cli_verb verb_show;
extern const cli_verb verb_sql;
extern const cli_verb verb_status;
extern const cli_verb verb_study_kit;
extern const cli_verb verb_t5;
extern const cli_verb verb_table;
extern const cli_verb verb_vae;
extern const cli_verb verb_verify;
extern const cli_verb verb_version;
extern const cli_verb verb_why;

#endif
