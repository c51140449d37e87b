#pragma once
#include "api/rest/transport.hpp"

#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>
#include <mutex>
#include <optional>

#include "api/rest/watch.hpp"

namespace weir::rest {

namespace websocket = beast::websocket;

class WatchStream;

// What the outside holds of a watch: the queue of messages to send. It may exist before the stream
// (what is sent then waits) and outlive it (what is sent then is dropped).
class WatchHandle : public WatchSession {
public:
    struct Item {
        std::string text;
        bool is_close = false;
    };

    WatchHandle(Identity peer, std::size_t max_queue_bytes)
        : peer_(std::move(peer)), max_queue_bytes_(max_queue_bytes) {}
    void send(std::string text) override;
    void close(std::string reason) override;
    const Identity& peer() const override { return peer_; }

    void attach(WatchStream* stream);
    void detach();  // for good
    std::optional<Item> pop();
    bool is_overfull();

private:
    void push(Item item);
    void wake();

    std::mutex mutex_;
    WatchStream* stream_ = nullptr;
    std::deque<Item> queue_;
    std::size_t queued_bytes_ = 0;
    bool is_over_ = false;
    bool is_overfull_ = false;
    const Identity peer_;
    const std::size_t max_queue_bytes_;
};

// Either end of a watch. Everything runs on the strand of its stream.
class WatchStream : public std::enable_shared_from_this<WatchStream> {
public:
    using Stream = websocket::stream<TlsStream>;

    WatchStream(TlsStream stream, std::shared_ptr<WatchHandle> handle, Milliseconds timeout);
    ~WatchStream();

    Stream& stream() { return stream_; }
    const std::shared_ptr<WatchHandle>& handle() const { return handle_; }

    // After the handshake: delivers messages until the watch ends; says why it ended.
    asio::awaitable<std::string> run(std::function<void(std::string_view)> on_message);

    void write_more();               // the handle's queue may have become longer
    void abort(std::string reason);  // ends it without a farewell

private:
    // It starts after whoever spawned it, perhaps when nobody else holds the stream any more.
    static asio::awaitable<void> write_all(std::shared_ptr<WatchStream> self);
    asio::awaitable<void> write_queue();
    std::string reason_of(const ErrorCode& failed);

    Stream stream_;
    const std::shared_ptr<WatchHandle> handle_;
    bool is_open_ = false;  // the handshake is done
    bool is_writing_ = false;
    std::string end_reason_;  // why we ended it; empty if the other side did
};

}  // namespace weir::rest
