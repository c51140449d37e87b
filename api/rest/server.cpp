#include "api/rest/server.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/rest/server_core.hpp"
#include "base/log.hpp"

namespace weir::rest {
namespace {

constexpr std::chrono::milliseconds accept_pause{100};  // after a failure, e.g. no descriptors

using Tcp = asio::ip::tcp;
using Local = asio::local::stream_protocol;

// A socket file whose server is gone would make bind fail; one whose server lives must stay.
Status remove_stale_socket(asio::io_context& io, const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) {
        return Error{Errc::conflict, path, {}, "exists and is not a socket"};
    }
    ErrorCode failed;
    Local::socket probe(io);
    probe.connect(Local::endpoint(path), failed);
    if (!failed) return Error{Errc::conflict, path, {}, "another server listens there"};
    ::unlink(path.c_str());
    return {};
}

}  // namespace

struct Server::Core {
    ServerShared shared;
    std::vector<std::uint16_t> ports;
    std::vector<std::string> socket_paths;
    std::vector<std::thread> threads;
    // Dies before what its sessions use, and after the acceptors, which use it.
    asio::io_context io;
    std::vector<std::function<void()>> close_acceptors;

    ~Core() { remove_sockets(); }
    void remove_sockets();
    Status listen(const Endpoint& endpoint);
    Status listen_tcp(const Endpoint& endpoint);
    Status listen_local(const Endpoint& endpoint);
    template <class Acceptor>
    Status begin(std::shared_ptr<Acceptor> acceptor, const Endpoint& endpoint);
    template <class Acceptor>
    asio::awaitable<void> accept(std::shared_ptr<Acceptor> acceptor, Target::Kind kind);
    void spawn(asio::any_io_executor executor, Socket::socket_type socket, Target::Kind kind);
};

void Server::Core::remove_sockets() {
    for (const std::string& path : socket_paths) ::unlink(path.c_str());
    socket_paths.clear();
}

Status Server::Core::listen(const Endpoint& endpoint) {
    return endpoint.kind == Target::Kind::unix_socket ? listen_local(endpoint)
                                                      : listen_tcp(endpoint);
}

Status Server::Core::listen_tcp(const Endpoint& endpoint) {
    const auto at = HostPort::parse(endpoint.address);
    if (!at) return Error{Errc::invalid, endpoint.address, {}, at.error().message};
    ErrorCode failed;
    const auto address = asio::ip::make_address(at->host, failed);
    if (failed) {
        return Error{Errc::invalid, endpoint.address, {}, "listen on an IP address, not a name"};
    }
    const Tcp::endpoint where(address, static_cast<std::uint16_t>(std::stoul(at->port)));
    auto acceptor = std::make_shared<Tcp::acceptor>(asio::make_strand(io));
    acceptor->open(where.protocol(), failed);
    if (!failed) acceptor->set_option(asio::socket_base::reuse_address(true), failed);
    if (!failed) acceptor->bind(where, failed);
    if (failed) {
        return Error{Errc::io, endpoint.address, {}, "cannot listen: " + failed.message()};
    }
    ports.push_back(acceptor->local_endpoint().port());
    return begin(std::move(acceptor), endpoint);
}

Status Server::Core::listen_local(const Endpoint& endpoint) {
    if (endpoint.address.size() >= sizeof(sockaddr_un::sun_path)) {
        return Error{Errc::limit, endpoint.address, {}, "a socket's path has at most 107 bytes"};
    }
    if (auto status = remove_stale_socket(io, endpoint.address); !status) return status;
    ErrorCode failed;
    auto acceptor = std::make_shared<Local::acceptor>(asio::make_strand(io));
    acceptor->open(Local(), failed);
    if (!failed) acceptor->bind(Local::endpoint(endpoint.address), failed);
    if (failed) {
        return Error{Errc::io, endpoint.address, {}, "cannot listen: " + failed.message()};
    }
    // Nobody can connect before listen(), so the mode holds from the first connection on.
    if (::chmod(endpoint.address.c_str(), 0660) != 0) {
        return Error{Errc::io, endpoint.address, {}, "cannot set its mode"};
    }
    ports.push_back(0);
    socket_paths.push_back(endpoint.address);
    return begin(std::move(acceptor), endpoint);
}

template <class Acceptor>
Status Server::Core::begin(std::shared_ptr<Acceptor> acceptor, const Endpoint& endpoint) {
    ErrorCode failed;
    acceptor->listen(asio::socket_base::max_listen_connections, failed);
    if (failed) {
        return Error{Errc::io, endpoint.address, {}, "cannot listen: " + failed.message()};
    }
    close_acceptors.push_back([acceptor] {
        asio::post(acceptor->get_executor(), [acceptor] {
            ErrorCode ignored;
            acceptor->close(ignored);
        });
    });
    asio::co_spawn(acceptor->get_executor(), accept(acceptor, endpoint.kind), asio::detached);
    return {};
}

template <class Acceptor>
asio::awaitable<void> Server::Core::accept(std::shared_ptr<Acceptor> acceptor, Target::Kind kind) {
    while (!shared.is_stopping) {
        ErrorCode failed;
        const asio::any_io_executor executor = asio::make_strand(io);
        auto socket = co_await acceptor->async_accept(executor, into(failed));
        if (failed == asio::error::operation_aborted) co_return;
        if (failed) {
            log::warn("rest.accept_failed", {{"why", failed.message()}});
            asio::steady_timer pause(acceptor->get_executor(), accept_pause);
            co_await pause.async_wait(into(failed));
        } else if (shared.open_connections() >= shared.options.max_connections) {
            log::warn("rest.too_many_connections", {{"limit", shared.options.max_connections}});
        } else {
            spawn(executor, Socket::socket_type(std::move(socket)), kind);
        }
    }
}

void Server::Core::spawn(asio::any_io_executor executor, Socket::socket_type socket,
                         Target::Kind kind) {
    if (kind != Target::Kind::unix_socket) send_at_once(socket);
    if (kind == Target::Kind::tls) {
        asio::co_spawn(executor, serve_tls(shared, std::move(socket)), asio::detached);
    } else {
        const Role role = kind == Target::Kind::unix_socket ? Role::local : Role::none;
        asio::co_spawn(executor, serve_plain(shared, std::move(socket), role), asio::detached);
    }
}

Server::Server(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Server::~Server() { stop(); }

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler,
                                              WatchHandler watch) {
    auto core = std::make_unique<Core>();
    core->shared.options = std::move(options);
    core->shared.handler = std::move(handler);
    core->shared.watch = std::move(watch);
    const ServerOptions& with = core->shared.options;
    for (const Endpoint& endpoint : with.endpoints) {
        if (endpoint.kind == Target::Kind::tls && !core->shared.tls) {
            auto context =
                make_tls_context(Side::server, with.credentials,
                                 with.require_certificate ? Demand::required : Demand::optional);
            if (!context) return context.error();
            core->shared.tls.emplace(std::move(*context));
        }
        if (auto status = core->listen(endpoint); !status) return status.error();
    }
    for (unsigned i = 0; i < std::max(1u, with.threads); ++i) {
        core->threads.emplace_back([io = &core->io] { io->run(); });
    }
    return std::unique_ptr<Server>(new Server(std::move(core)));
}

std::uint16_t Server::port(std::size_t endpoint) const { return core_->ports.at(endpoint); }

void Server::stop() {
    if (core_->threads.empty()) return;
    core_->shared.is_stopping = true;
    for (const auto& close : core_->close_acceptors) close();
    core_->shared.end_all(false);
    if (!core_->shared.wait_until_empty(finish_timeout)) {
        core_->shared.end_all(true);
        core_->shared.wait_until_empty(finish_timeout);
    }
    core_->io.stop();
    for (std::thread& thread : core_->threads) thread.join();
    core_->threads.clear();
    core_->remove_sockets();
}

}  // namespace weir::rest
