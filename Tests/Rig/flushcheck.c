// The judge of acknowledged writes. It shares no code with what it judges.
#define _GNU_SOURCE
#include "check.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "flushcheck write  --uri URI --ledger FILE --seed N --blocks N [--depth 16] [--seconds 10]\n"
    "flushcheck verify --uri URI --ledger FILE\n"
    "flushcheck try    --uri A --uri B [--seconds 10] [--interval-ms 5]\n"
    "exit: 0 nothing wrong, 1 faults found, 2 not able to judge, 3 connection lost or stalled\n";

static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *into) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value < low || value > high) return false;
    *into = value;
    return true;
}

static bool parse(int count, char **words, struct options *options) {
    static const struct option names[] = {
        {"uri", required_argument, NULL, 'u'},    {"ledger", required_argument, NULL, 'l'},
        {"seed", required_argument, NULL, 's'},   {"blocks", required_argument, NULL, 'b'},
        {"depth", required_argument, NULL, 'd'},  {"seconds", required_argument, NULL, 't'},
        {"interval-ms", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0}};
    uint64_t depth = 16;
    *options = (struct options){.seconds = 10, .interval_ms = 5};
    for (int option; (option = getopt_long(count, words, "", names, NULL)) != -1;) {
        bool good = false;
        if (option == 'u' && (good = options->uri_count < URIS_MAX)) options->uris[options->uri_count++] = optarg;
        if (option == 'l') good = true, options->ledger = optarg;
        if (option == 's') good = number(optarg, 0, UINT64_MAX, &options->seed);
        if (option == 'b') good = number(optarg, 1, BLOCKS_MAX, &options->blocks);
        if (option == 'd') good = number(optarg, 1, DEPTH_MAX, &depth);
        if (option == 't') good = number(optarg, 1, 86400, &options->seconds);
        if (option == 'i') good = number(optarg, 0, 60000, &options->interval_ms);
        if (!good) return false;
    }
    options->depth = (int)depth;
    return optind == count && options->uri_count > 0;
}

int main(int count, char **words) {
    struct options options;
    if (count >= 2 && parse(count - 1, words + 1, &options)) {
        if (strcmp(words[1], "write") == 0 && options.uri_count == 1 && options.ledger && options.blocks)
            return run_write(&options);
        if (strcmp(words[1], "verify") == 0 && options.uri_count == 1 && options.ledger) return run_verify(&options);
        if (strcmp(words[1], "try") == 0 && options.uri_count >= 2) return run_try(&options);
    }
    fputs(USAGE, stderr);
    return EXIT_UNFIT;
}
