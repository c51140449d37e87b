#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "api/rest/pki.hpp"

namespace weir::rest {
namespace {

Error os_error(const std::string& object, const char* what) {
    return {Errc::io, object, {}, std::string(what) + ": " + std::strerror(errno)};
}

class File {
public:
    File(const std::string& path, int flags, mode_t mode = 0)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int fd() const { return fd_; }

private:
    int fd_;
};

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return ::fsync(fd) == 0;
}

}  // namespace

Status write_private_file(const std::string& path, std::string_view content) {
    const std::string temporary = path + ".new";
    ::unlink(temporary.c_str());
    {
        const File file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file.fd() < 0) return os_error(path, "cannot create");
        if (!write_all(file.fd(), content)) return os_error(path, "cannot write");
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return os_error(path, "cannot replace");
    return {};
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
    const File file(path, O_RDONLY);
    if (file.fd() < 0) {
        Error error = os_error(path, "cannot open");
        if (errno == ENOENT) error.code = Errc::not_found;
        return error;
    }
    std::string content;
    char part[16384];
    for (;;) {
        const ssize_t n = ::read(file.fd(), part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return os_error(path, "cannot read");
        if (n == 0) return content;
        content.append(part, static_cast<std::size_t>(n));
        if (content.size() > max_bytes) {
            return Error{Errc::limit, path, {},
                         "larger than " + std::to_string(max_bytes) + " bytes"};
        }
    }
}

}  // namespace weir::rest
