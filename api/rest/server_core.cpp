#include "api/rest/server_core.hpp"

namespace weir::rest {

std::size_t ServerShared::open_connections() {
    const std::lock_guard lock(mutex_);
    return connections_.size();
}

std::uint64_t ServerShared::enter(Connection connection) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = next_id_++;
    connections_.emplace(id, std::move(connection));
    return id;
}

void ServerShared::replace(std::uint64_t id, std::function<void()> finish,
                           std::function<void()> abort) {
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_.at(id);
    connection.finish.swap(finish);
    connection.abort.swap(abort);
}

void ServerShared::leave(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    connections_.erase(id);
    changed_.notify_all();
}

// On the connection's executor, where it also leaves: what is found here is alive.
void ServerShared::end(std::uint64_t id, bool at_once) {
    std::function<void()> call;
    {
        const std::lock_guard lock(mutex_);
        const auto found = connections_.find(id);
        if (found == connections_.end()) return;
        call = at_once ? found->second.abort : found->second.finish;
    }
    call();
}

void ServerShared::end_all(bool at_once) {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, connection] : connections_) {
        asio::post(connection.executor, [this, id = id, at_once] { end(id, at_once); });
    }
}

bool ServerShared::wait_until_empty(std::chrono::seconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return connections_.empty(); });
}

// Answers 500 if the last copy of a Reply goes without having been called.
class Waiter::Promise {
public:
    explicit Promise(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;
    ~Promise() { give(problem(Error{Errc::internal, {}, {}, "the request was dropped"})); }
    void give(Response response) { gate_->give(std::move(response)); }

private:
    std::shared_ptr<Gate> gate_;
};

Waiter::Waiter(asio::any_io_executor executor)
    : executor_(executor), timer_(executor), gate_(std::make_shared<Gate>()) {
    timer_.expires_at(asio::steady_timer::time_point::max());
    gate_->waiter = this;
}

Waiter::~Waiter() {
    const std::lock_guard lock(gate_->mutex);
    gate_->waiter = nullptr;
}

Reply Waiter::reply() {
    return [promise = std::make_shared<Promise>(gate_)](Response response) {
        promise->give(std::move(response));
    };
}

void Waiter::give(Response response) { gate_->give(std::move(response)); }

void Waiter::Gate::give(Response response) {
    const std::lock_guard lock(mutex);
    if (waiter == nullptr || waiter->response_) return;
    waiter->response_ = std::move(response);
    // The session's executor runs one thing at a time: either it has seen the response before it
    // began to wait, or it waits when this arrives.
    asio::post(waiter->executor_, [gate = waiter->gate_] { gate->wake(); });
}

void Waiter::Gate::wake() {
    const std::lock_guard lock(mutex);
    if (waiter != nullptr) waiter->timer_.cancel();
}

asio::awaitable<Response> Waiter::wait() {
    for (;;) {
        {
            const std::lock_guard lock(gate_->mutex);
            if (response_) co_return std::move(*response_);
        }
        ErrorCode ignored;
        co_await timer_.async_wait(into(ignored));
    }
}

}  // namespace weir::rest
