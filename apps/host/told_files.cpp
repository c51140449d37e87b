#include "apps/host/told_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"

namespace weir::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* suffix = ".json";

Status failed(const std::string& path, const char* what) {
    return Error{Errc::io, path, {}, std::string(what) + ": " + std::strerror(errno)};
}

// Names are those of resources: no slashes, no dots in front (model/scalars.hpp).
bool is_plain(const std::string& name) {
    return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
}

Status replace(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
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
    for (const auto& entry : fs::directory_iterator(folder, ignored))
        if (entry.path().extension() == suffix) out.push_back(entry.path().string());
    return out;
}

}  // namespace

void ToldFiles::follow(const model::Value& rows) {
    std::set<std::string> folders, wanted;
    for (const auto& [path, text] : texts_) folders.insert(fs::path(path).parent_path().string());
    for (const model::Value& row : rows.items()) {
        if (!is_plain(row["folder"].as_text()) || !is_plain(row["name"].as_text())) continue;
        const std::string folder = folder_ + "/" + row["folder"].as_text();
        const std::string path = folder + "/" + row["name"].as_text() + suffix;
        const std::string& text = row["text"].as_text();
        folders.insert(folder);
        wanted.insert(path);
        if (const auto known = texts_.find(path); known != texts_.end() && known->second == text)
            continue;
        Status written;
        if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
            written = failed(folder, "cannot be made");
        else written = replace(path, text);
        if (!written) {
            log::error("host.file", {{"why", written.error().text()}});
            continue;
        }
        texts_[path] = text;
    }
    for (const std::string& folder : folders)
        for (const std::string& path : files_in(folder))
            if (!wanted.contains(path)) ::unlink(path.c_str());
    std::erase_if(texts_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

}  // namespace weir::host
