#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "apps/weir/verbs.hpp"

namespace weir::command {
namespace {

TEST(RunShell, SaysHowItEnded) {
    EXPECT_EQ(run_shell("exit 0", 60), "");
    EXPECT_EQ(run_shell("exit 7", 60), "ended with status 7");
    EXPECT_EQ(run_shell("kill -9 $$", 60), "was ended by signal 9");
}

// What it started is ended with it: the pipe is closed only when nobody holds it any more.
TEST(RunShell, WhatTakesTooLongIsEndedWithAllThatItStarted) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const std::string hold = "sleep 600 >&" + std::to_string(ends[1]) + " & trap '' TERM; wait";
    EXPECT_EQ(run_shell(hold, 0.2), "took longer than 0.2 s and was ended");
    close(ends[1]);
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 0) << "end of file: nobody can write";
    close(ends[0]);
}

}  // namespace
}  // namespace weir::command
