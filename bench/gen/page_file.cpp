#include "bench/gen/page_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::gen {

Result<std::span<Page>> map_pages(const std::string& path, std::size_t count) {
    const auto failed = [&](const char* what) {
        return Error{Errc::io, "page", path, std::string(what) + ": " + std::strerror(errno)};
    };
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return failed("cannot be made");
    void* at = MAP_FAILED;
    const std::size_t bytes = count * sizeof(Page);
    if (::ftruncate(file, static_cast<off_t>(bytes)) == 0)
        at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    const Error error = failed("cannot be mapped");
    ::close(file);
    if (at == MAP_FAILED) return error;
    return std::span(static_cast<Page*>(at), count);
}

}  // namespace weir::gen
