#pragma once
#include <cstdio>
#include <cstdlib>

// A broken invariant of our own ends the process with its place; input from outside never does.
#define WEIR_CHECK(condition, why)                                                       \
    do {                                                                                 \
        if (!(condition)) [[unlikely]] {                                                 \
            std::fprintf(stderr, "%s:%d: invariant broken: %s (%s)\n", __FILE__, __LINE__, why, \
                         #condition);                                                    \
            std::abort();                                                                \
        }                                                                                \
    } while (false)
