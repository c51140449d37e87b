#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "ports/kernel/testing/netns.hpp"

// Kernel TCP from one namespace to another, every byte compared.
namespace weir::host::testing {

using ports::testing::NetNs;

class TcpTransfer {
public:
    // `bytes` from `client` to `server`, which listens on `address`. Empty if all arrived, else why
    // not. Gives up after 20 s without progress.
    static std::string run(const NetNs& client, const NetNs& server, const std::string& address,
                           std::size_t bytes) {
        const int listener = server.inside([&] { return listen_on(address); });
        if (listener < 0) return "cannot listen on " + address;
        std::string trouble;
        std::thread receiver([&] { trouble = receive(listener, bytes); });
        const std::string sending = client.inside([&] { return send(address, bytes); });
        receiver.join();
        close(listener);
        return sending.empty() ? trouble : sending;
    }

private:
    static constexpr int patience_ms = 20'000;
    static constexpr std::uint16_t port = 5201;

    static sockaddr_in to(const std::string& address) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        inet_pton(AF_INET, address.c_str(), &in.sin_addr);
        return in;
    }
    static bool ready(int fd, short what) {
        pollfd p{fd, what, 0};
        return poll(&p, 1, patience_ms) == 1;
    }
    static std::uint8_t byte_at(std::size_t i) {
        return static_cast<std::uint8_t>(i * 2654435761u >> 13);
    }
    static int listen_on(const std::string& address) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        const sockaddr_in at = to(address);
        if (bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 && listen(fd, 1) == 0)
            return fd;
        close(fd);
        return -1;
    }
    static std::string receive(int listener, std::size_t bytes) {
        if (!ready(listener, POLLIN)) return "nobody connected";
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        std::vector<std::uint8_t> buffer(65536);
        std::size_t got = 0;
        std::string trouble;
        while (got < bytes && trouble.empty()) {
            const ssize_t n = ready(fd, POLLIN) ? read(fd, buffer.data(), buffer.size()) : -1;
            if (n <= 0) trouble = "ended after " + std::to_string(got) + " bytes";
            for (ssize_t i = 0; i < n; ++i, ++got)
                if (buffer[static_cast<std::size_t>(i)] != byte_at(got))
                    return close(fd), "byte " + std::to_string(got) + " differs";
        }
        close(fd);
        return trouble;
    }
    static std::string send(const std::string& address, std::size_t bytes) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const sockaddr_in at = to(address);
        connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at);
        std::string trouble;
        std::vector<std::uint8_t> buffer;
        for (std::size_t sent = 0; sent < bytes && trouble.empty();) {
            buffer.clear();
            for (std::size_t i = sent; i < bytes && buffer.size() < 65536; ++i)
                buffer.push_back(byte_at(i));
            const ssize_t n =
                ready(fd, POLLOUT) ? ::send(fd, buffer.data(), buffer.size(), MSG_NOSIGNAL) : -1;
            if (n < 0) trouble = "sending stopped after " + std::to_string(sent) + " bytes";
            sent += n > 0 ? static_cast<std::size_t>(n) : 0;
        }
        close(fd);
        return trouble;
    }
};

}  // namespace weir::host::testing
