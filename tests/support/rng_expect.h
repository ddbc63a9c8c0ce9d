/* The bits that make two runs of a study comparable: a change here is a change of every result. Shared by the float
 * and the double build, which must draw the same numbers. */
#ifndef TD_TESTS_RNG_EXPECT_H
#define TD_TESTS_RNG_EXPECT_H

/* SHA-256 of the first 10^6 floats of rng_normal and rng_uniform for {seed 42, RNG_TEST, sub 0}, little-endian. */
#define EXPECT_NORMALS "93698567058b0f4d00877953531f9db88a8552784dc09fdf97ae492a0705b8cf"
#define EXPECT_UNIFORMS "ebdfffa0c2b36fa11e3df66311d9be85d704093023691b7eaf54b4eaf6d8b351"
#define EXPECT_COUNT 1000000

#endif
