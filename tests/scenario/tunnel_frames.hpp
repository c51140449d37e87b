#pragma once
#include <string>
#include <vector>

#include "tests/scenario/fake_host.hpp"

// What a scenario must know of the frames between hosts.
namespace weir::scenario {

bool is_tunnel(const Frame& frame);

// What hosts ask each other all the time: whether they are there.
bool is_bfd(const Frame& frame);

// The tunnel frame to endpoint `instead_of`, as that one would send it on to `to` with these words
// changed; empty: it is another frame, or lacks a word that "only=" asks for.
Frame bent(const Frame& frame, const std::string& instead_of, const std::string& to,
           const std::vector<std::string>& changes);

}  // namespace weir::scenario
