#include "bench/gen/page_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::gen {

Result<Page*> map_page(const std::string& path) {
    const auto failed = [&](const char* what) {
        return Error{Errc::io, "page", path, std::string(what) + ": " + std::strerror(errno)};
    };
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return failed("cannot be made");
    void* at = MAP_FAILED;
    if (::ftruncate(file, sizeof(Page)) == 0)
        at = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    const Error error = failed("cannot be mapped");
    ::close(file);
    if (at == MAP_FAILED) return error;
    return static_cast<Page*>(at);
}

}  // namespace weir::gen
