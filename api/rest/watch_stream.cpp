#include "api/rest/watch_stream.hpp"

namespace weir::rest {

void WatchHandle::send(std::string text) { push({std::move(text), false}); }

void WatchHandle::close(std::string reason) { push({std::move(reason), true}); }

void WatchHandle::push(Item item) {
    const std::lock_guard lock(mutex_);
    if (is_over_ || is_overfull_) return;
    if (queued_bytes_ + item.text.size() > max_queue_bytes_) {
        is_overfull_ = true;
    } else {
        queued_bytes_ += item.text.size();
        queue_.push_back(std::move(item));
    }
    wake();
}

void WatchHandle::attach(WatchStream* stream) {
    const std::lock_guard lock(mutex_);
    if (!is_over_) stream_ = stream;
}

void WatchHandle::detach() {
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
    is_over_ = true;
    queue_.clear();
}

std::optional<WatchHandle::Item> WatchHandle::pop() {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return std::nullopt;
    std::optional<Item> item(std::move(queue_.front()));
    queue_.pop_front();
    queued_bytes_ -= item->text.size();
    return item;
}

bool WatchHandle::is_overfull() {
    const std::lock_guard lock(mutex_);
    return is_overfull_;
}

void WatchHandle::wake() {
    if (stream_ == nullptr) return;
    asio::post(stream_->stream().get_executor(), [weak = stream_->weak_from_this()] {
        if (const auto stream = weak.lock()) stream->write_more();
    });
}

WatchStream::WatchStream(TlsStream stream, std::shared_ptr<WatchHandle> handle,
                         Milliseconds timeout)
    : stream_(std::move(stream)), handle_(std::move(handle)) {
    beast::get_lowest_layer(stream_).expires_never();
    stream_.set_option(websocket::stream_base::timeout{timeout, timeout, true});
    stream_.read_message_max(max_watch_message_bytes);
    stream_.text(true);
}

WatchStream::~WatchStream() { handle_->detach(); }

void WatchStream::abort(std::string reason) {
    if (end_reason_.empty()) end_reason_ = std::move(reason);
    beast::get_lowest_layer(stream_).close();
}

void WatchStream::write_more() {
    if (handle_->is_overfull()) {
        abort("the other side reads too slowly");
    } else if (is_open_ && !is_writing_) {
        is_writing_ = true;
        asio::co_spawn(stream_.get_executor(), write_all(shared_from_this()), asio::detached);
    }
}

asio::awaitable<void> WatchStream::write_all(std::shared_ptr<WatchStream> self) {
    co_await self->write_queue();
    self->is_writing_ = false;
}

asio::awaitable<void> WatchStream::write_queue() {
    ErrorCode failed;
    while (end_reason_.empty()) {
        const std::optional<WatchHandle::Item> item = handle_->pop();
        if (!item) co_return;
        if (item->is_close) {
            end_reason_ = item->text;
            websocket::close_reason reason(websocket::close_code::going_away);
            reason.reason = beast::string_view(item->text).substr(0, 123);
            co_await stream_.async_close(reason, into(failed));
            co_return;
        }
        co_await stream_.async_write(asio::buffer(item->text), into(failed));
        if (failed) abort("a message could not be sent: " + failed.message());
    }
}

asio::awaitable<std::string> WatchStream::run(std::function<void(std::string_view)> on_message) {
    is_open_ = true;
    // Not before there is a shared pointer: from here on other threads take their share of us.
    handle_->attach(this);
    write_more();
    beast::flat_buffer buffer;
    ErrorCode failed;
    for (;;) {
        co_await stream_.async_read(buffer, into(failed));
        if (failed) break;
        if (stream_.got_text()) {
            on_message({static_cast<const char*>(buffer.data().data()), buffer.size()});
        }
        buffer.consume(buffer.size());
        // One huge message must not keep its room for the life of the watch.
        if (buffer.capacity() > (1u << 20)) buffer.shrink_to_fit();
    }
    handle_->detach();
    co_return reason_of(failed);
}

std::string WatchStream::reason_of(const ErrorCode& failed) {
    if (!end_reason_.empty()) return end_reason_;
    if (failed == websocket::error::closed) {
        const auto& reason = stream_.reason().reason;
        if (reason.empty()) return "the other side closed it";
        return std::string(reason.data(), reason.size());
    }
    end_reason_ = failed == beast::error::timeout ? "no sign of life from the other side"
                                                  : failed.message();
    return end_reason_;
}

}  // namespace weir::rest
