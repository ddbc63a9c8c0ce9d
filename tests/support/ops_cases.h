/* Every row operation of ops.h against a plain double reference, over odd shapes; the float and the double build of
 * the engine run the same cases. Each function is a cmocka test on the cpu backend. */
#ifndef TD_TESTS_OPS_CASES_H
#define TD_TESTS_OPS_CASES_H

void case_copy_fill(void **state);
void case_lincomb(void **state);
void case_ln_mod(void **state);
void case_ln_mod_bwd(void **state);
void case_ln_offset(void **state);
void case_headnorm_rope(void **state);
void case_headnorm_rope_bwd(void **state);
void case_gate_add(void **state);
void case_add_rows(void **state);
void case_act(void **state);
void case_colsum(void **state);
void case_patch(void **state);
void case_mse_sumsq(void **state);
void case_adamw(void **state);
void case_long_rows(void **state);
void case_rmsnorm(void **state);
void case_act_mul(void **state);
void case_softmax_rel(void **state);
void case_golden(void **state);

#define OPS_CASES                                                                                                    \
  cmocka_unit_test(case_copy_fill), cmocka_unit_test(case_lincomb), cmocka_unit_test(case_ln_mod),                   \
      cmocka_unit_test(case_ln_mod_bwd), cmocka_unit_test(case_ln_offset), cmocka_unit_test(case_headnorm_rope),     \
      cmocka_unit_test(case_headnorm_rope_bwd), cmocka_unit_test(case_gate_add), cmocka_unit_test(case_add_rows),    \
      cmocka_unit_test(case_act), cmocka_unit_test(case_colsum), cmocka_unit_test(case_patch),                       \
      cmocka_unit_test(case_mse_sumsq), cmocka_unit_test(case_adamw), cmocka_unit_test(case_long_rows),              \
      cmocka_unit_test(case_rmsnorm), cmocka_unit_test(case_act_mul), cmocka_unit_test(case_softmax_rel),            \
      cmocka_unit_test(case_golden)

#endif
