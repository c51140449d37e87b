#include "apps/host/told_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"

namespace weir::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* suffix = ".json";
constexpr const char* fresh_suffix = ".new";  // of what is not whole yet

Status failed(const std::string& path, const char* what) {
    return Error{Errc::io, path, {}, std::string(what) + ": " + std::strerror(errno)};
}

// Names are those of resources: no slashes, no dots in front (model/scalars.hpp).
bool is_plain(const std::string& name) {
    return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
}

Status replace(const std::string& path, const std::string& text) {
    const std::string folder = fs::path(path).parent_path().string();
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
        return failed(folder, "cannot be made");
    const std::string fresh = path + fresh_suffix;
    std::FILE* file = std::fopen(fresh.c_str(), "we");
    if (!file) return failed(fresh, "cannot be made");
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool closed = std::fclose(file) == 0;
    if (!written || !closed) return failed(fresh, "cannot be written");
    if (std::rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "cannot be replaced");
    return {};
}

std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
        const std::string path = entry.path().string();
        if (path.ends_with(suffix) || path.ends_with(std::string(suffix) + fresh_suffix))
            out.push_back(path);
    }
    return out;
}

}  // namespace

void ToldFiles::follow(const model::Value& rows) {
    wanted_.clear();
    for (const model::Value& row : rows.items()) {
        const std::string& folder = row["folder"].as_text();
        const std::string& name = row["name"].as_text();
        if (!is_plain(name) || std::ranges::find(folders_, folder) == folders_.end()) continue;
        wanted_[root_ + "/" + folder + "/" + name + suffix] = row["text"].as_text();
    }
    write();
    sweep();
    std::erase_if(written_, [&](const auto& file) { return !wanted_.contains(file.first); });
}

void ToldFiles::look(std::uint64_t now_ns) {
    if (!has_failed_ || now_ns - tried_ns_ < again_ns) return;
    tried_ns_ = now_ns;
    write();
}

// What differs. Of a disk that stays full one hears once.
void ToldFiles::write() {
    bool has_failed = false;
    for (const auto& [path, text] : wanted_) {
        const auto known = written_.find(path);
        if (known != written_.end() && known->second == text) continue;
        const Status done = replace(path, text);
        if (done) {
            written_[path] = text;
            continue;
        }
        if (!has_failed_) log::error("host.file", {{"why", done.error().text()}});
        has_failed = true;
    }
    has_failed_ = has_failed;
}

void ToldFiles::sweep() const {
    for (const std::string& folder : folders_)
        for (const std::string& path : files_in(root_ + "/" + folder))
            if (!wanted_.contains(path)) ::unlink(path.c_str());
}

}  // namespace weir::host
