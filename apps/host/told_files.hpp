#pragma once
#include <map>
#include <string>

#include "model/value.hpp"

namespace weir::host {

// Files that tell programs beside the host what they should know of the revision that runs. Which
// there are is the engine's answer to {"what":"files"} (dataplane/queries.md). Control thread.
class ToldFiles {
public:
    // Below this folder.
    explicit ToldFiles(std::string folder) : folder_(std::move(folder)) {}
    // Leaves the files: what runs may go on without this process.

    // Rows {"folder","name","text"} become FOLDER/NAME.json, each changed as a whole (rename(2), so
    // that inotify(7) tells readers) and only if its text did. What is not there any more goes; of
    // an earlier process, too.
    void follow(const model::Value& rows);

private:
    std::string folder_;
    std::map<std::string, std::string> texts_;  // by path
};

}  // namespace weir::host
