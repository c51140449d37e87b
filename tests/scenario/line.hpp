#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Lines of a scenario, as words.
namespace weir::scenario {

// A line that says something: what follows " #" is a comment, as is a line that starts with '#'.
struct Line {
    int number = 0;  // in the file, from 1
    std::string text;
};
std::vector<Line> lines_of(const std::string& text);

std::vector<std::string> words_of(const std::string& line);
// What stands behind the first `skip_words` words.
std::string rest_of(const std::string& line, std::size_t skip_words);

// The first of `wanted` that does not stand in the description of a frame; empty: all do.
std::string missing_word(const std::string& wanted, const std::string& description);

// The notation with its first source (or destination) port raised by `by`.
std::string raised(const std::string& notation, std::size_t by, bool destination = false);

// The notation with other words outside of braces: "key=value" takes the place of what has that
// key, "-word" takes the word away, anything else is added; "{key=value" stands for the first such
// word inside.
std::string changed(const std::string& notation, const std::vector<std::string>& changes);

// The frame with other bytes: of `words` from the `from`th on, "60=ff" sets the one at offset 60,
// "60^01" turns these bits of it over.
std::vector<std::uint8_t> with_bytes(std::vector<std::uint8_t> frame,
                                     const std::vector<std::string>& words, std::size_t from);

// How often "x20", "x20+" (each from the next source port) or "x20>" (each to the next destination
// port) says; 0: the word says nothing of the kind.
struct Times {
    std::size_t count = 0;
    bool raise = false;
    bool destination = false;
};
Times times_of(const std::string& word);

// What the words "each 10..99 [3]" say; step 0: they say nothing of the kind.
struct Range {
    std::uint64_t first = 0, last = 0, step = 0;
};
Range range_of(const std::vector<std::string>& words);
// The text with the number in the place of each "{}".
std::string with_number(std::string text, std::uint64_t number);

}  // namespace weir::scenario
