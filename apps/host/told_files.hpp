#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/value.hpp"

namespace weir::host {

// Files that tell programs beside the host what they should know of the revision that runs. Which
// there are is the engine's answer to {"what":"files"} (dataplane/queries.md). Control thread.
class ToldFiles {
public:
    static constexpr std::uint64_t again_ns = 1'000'000'000;

    // Below `root`, in these folders and no others: they are the host's own.
    ToldFiles(std::string root, std::vector<std::string> folders)
        : root_(std::move(root)), folders_(std::move(folders)) {}
    // Leaves the files: what runs may go on without this process.

    // Rows {"folder","name","text"} become FOLDER/NAME.json, each changed as a whole (rename(2), so
    // that inotify(7) tells readers) and only if its text did. What is not there any more goes; of
    // an earlier process, too, though it was ended in the middle.
    void follow(const model::Value& rows);
    // What could not be written is tried again, once a second.
    void look(std::uint64_t now_ns);

private:
    void write();
    void sweep() const;

    const std::string root_;
    const std::vector<std::string> folders_;
    std::map<std::string, std::string> wanted_, written_;  // texts, by path
    bool has_failed_ = false;                              // and that was said
    std::uint64_t tried_ns_ = 0;
};

}  // namespace weir::host
