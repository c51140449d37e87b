#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::rest {
class Server;
struct Response;
}  // namespace weir::rest

namespace weir::host {

// What one agent may ask: so many at once, and so many a second.
class AgentRate {
public:
    static constexpr unsigned burst = 100, each_second = 100;
    // Whether there is room for one more at this time.
    bool take(std::uint64_t now_ns);

private:
    std::uint64_t looked_ns_ = 0;
    std::uint64_t tokens_ns_ = 0;  // nanoseconds' worth
    bool began_ = false;
};

// Sockets for agents that belong to what an engine runs, not to the host: each may ask one question
// in one name, and only the user that the engine names may connect.
//   POST /v1/order   the question's words as a JSON object
// Which sockets there are is the answer to {"what":"agents"} (dataplane/queries.md).
class AgentSockets {
public:
    using Ask = std::function<model::Value(const model::Value& request)>;  // from any thread

    // `folder`: made when the first socket is, for its owner to pass and others not to list.
    AgentSockets(std::string folder, Ask ask);
    ~AgentSockets();  // stops

    // Opens what is new in `rows` and closes what is not there any more. Control thread.
    void follow(const model::Value& rows);
    // Waits for requests under way: not on the thread that answers them.
    void stop();
    // Rows {"metric","labels","value"} behind those of `answer`.
    void add_counters(model::Value& answer) const;

private:
    enum class Result : std::uint8_t { done, refused, unknown, malformed, limited, count_ };
    static constexpr std::array<std::string_view, 5> result_names = {"done", "refused", "unknown",
                                                                     "malformed", "limited"};
    struct Socket {
        std::string name;
        model::Value words;  // of the question, which the agent cannot change
        std::uint32_t uid = 0;
        std::unique_ptr<rest::Server> server;
        std::mutex mutex;
        AgentRate rate;
        std::array<std::uint64_t, result_names.size()> counts{};
    };
    Status open(Socket& socket);
    Status own(const Socket& socket) const;
    std::string path_of(const Socket& socket) const;
    rest::Response answer(Socket& socket, const std::string& body) const;
    rest::Response answered(Socket& socket, Result result, int status, model::Value body) const;
    void close(std::shared_ptr<Socket> socket);

    std::string folder_;
    Ask ask_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Socket>> sockets_;
    std::map<std::string, std::future<void>> closing_;
};

}  // namespace weir::host
