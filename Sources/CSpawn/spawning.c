// glibc declares pipe2 and the newer file actions for _GNU_SOURCE only, which Swift's import does not define.
#define _GNU_SOURCE
#include "spawning.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

int holdfast_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno; }

static int prepare(posix_spawn_file_actions_t *actions, const int files[3]) {
    int result = 0;
    for (int each = 0; each < 3 && result == 0; each++)
        result = posix_spawn_file_actions_adddup2(actions, files[each], each);
    if (result == 0) result = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (result == 0) result = posix_spawn_file_actions_addchdir_np(actions, "/");
    return result;
}

static int isolate(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int result = posix_spawnattr_setsigmask(attributes, &none);
    if (result == 0) result = posix_spawnattr_setsigdefault(attributes, &all);
    if (result == 0) result = posix_spawnattr_setpgroup(attributes, 0);
    if (result == 0)
        result = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return result;
}

int holdfast_spawn(
    char *const words[], char *const environment[], int input, int output, int errors, pid_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) return result;
    result = posix_spawnattr_init(&attributes);
    if (result == 0) {
        result = prepare(&actions, (const int[3]){input, output, errors});
        if (result == 0) result = isolate(&attributes);
        if (result == 0) result = posix_spawn(process, words[0], &actions, &attributes, words, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}
