#pragma once

#include <sys/types.h>

/// A pipe whose ends no program inherits: the one that is read first; 0, or an errno.
int holdfast_pipe(int ends[2]);

/// Starts the program that `words` begin with, in `/` and in a process group of its own, with these three files as its
/// standard ones and no other, with no signal blocked or ignored; 0, or an errno.
int holdfast_spawn(
    char *const words[], char *const environment[], int input, int output, int errors, pid_t *process);
