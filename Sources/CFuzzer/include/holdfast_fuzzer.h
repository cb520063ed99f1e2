#ifndef HOLDFAST_FUZZER_H
#define HOLDFAST_FUZZER_H

#include <stddef.h>
#include <stdint.h>

/// Takes one input; 0 says that it was taken.
typedef int (*holdfast_fuzz_one)(const uint8_t *bytes, size_t count);

/// Hands the process over to libFuzzer, with its own arguments, and stops it at an allocation of
/// more than 64 MiB. -1 at once in a build without libFuzzer: `make fuzz` makes one with it.
int holdfast_fuzz(int argc, char **argv, holdfast_fuzz_one one);

#endif
