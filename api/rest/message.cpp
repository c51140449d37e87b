#include "api/rest/message.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "model/json.hpp"

namespace weir::rest {
namespace {

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
    return std::nullopt;
}

Result<std::string> unescape(std::string_view text, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] == '%') {
            if (i + 2 >= text.size()) return invalid("path", "ends within a % escape");
            const auto high = hex_digit(text[i + 1]);
            const auto low = hex_digit(text[i + 2]);
            if (!high || !low) return invalid("path", "% is not followed by two hex digits");
            const unsigned value = *high << 4 | *low;
            if (value < 0x20) return invalid("path", "holds a control byte");
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string_view take_until(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view head = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return head;
}

Errc code_of(int status) {
    switch (status) {
        case 400:
        case 422: return Errc::invalid;
        case 401:
        case 403: return Errc::denied;
        case 404:
        case 405: return Errc::not_found;
        case 409: return Errc::conflict;
        case 413: return Errc::limit;
        case 503:
        case 504: return Errc::unavailable;
        default: return Errc::internal;
    }
}

}  // namespace

Result<Route> Route::parse(std::string_view target) {
    if (target.empty() || target.front() != '/') return invalid("path", "does not begin with /");
    Route route;
    std::string_view query = target;
    std::string_view path = take_until(query, '?');
    path.remove_prefix(1);
    while (!path.empty()) {
        auto part = unescape(take_until(path, '/'), false);
        if (!part) return part.error();
        if (part->empty()) return invalid("path", "has an empty part");
        route.parts.push_back(std::move(*part));
    }
    while (!query.empty()) {
        std::string_view value = take_until(query, '&');
        auto key = unescape(take_until(value, '='), true);
        auto text = unescape(value, true);
        if (!key) return key.error();
        if (!text) return text.error();
        if (!key->empty()) route.query.insert_or_assign(std::move(*key), std::move(*text));
    }
    return route;
}

std::string_view Route::value(std::string_view key) const {
    const auto found = query.find(key);
    return found == query.end() ? std::string_view() : std::string_view(found->second);
}

bool Route::flag(std::string_view key) const {
    const auto found = query.find(key);
    if (found == query.end()) return false;
    return found->second.empty() || found->second == "true" || found->second == "1";
}

std::string escape(std::string_view text) {
    static constexpr char hex[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += '%';
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
    return out;
}

int status_of(Errc code) {
    switch (code) {
        case Errc::invalid: return 422;
        case Errc::not_found: return 404;
        case Errc::conflict: return 409;
        case Errc::limit: return 413;
        case Errc::unavailable: return 503;
        case Errc::denied: return 403;
        case Errc::io:
        case Errc::internal: return 500;
    }
    return 500;
}

Response problem(const std::vector<Error>& errors) {
    model::Value list = model::Value::array();
    for (const Error& error : errors) {
        model::Value& entry = list.push(model::Value::object());
        if (!error.object.empty()) entry.set("object", error.object);
        if (!error.field.empty()) entry.set("field", error.field);
        entry.set("message", error.message);
    }
    model::Value body;
    body.set("errors", std::move(list));
    const int status = errors.empty() ? 500 : status_of(errors.front().code);
    return {status, "application/json", model::dump_json(body)};
}

Response problem(const Error& error) { return problem(std::vector<Error>{error}); }

std::vector<Error> errors_in(const Response& response) {
    if (response.status < 400) return {};
    std::vector<Error> out;
    if (const auto body = model::parse_json(response.body)) {
        for (const model::Value& entry : (*body)["errors"].items()) {
            if (!entry.is_object()) continue;
            out.push_back({code_of(response.status), entry["object"].as_text(),
                           entry["field"].as_text(), entry["message"].as_text()});
        }
    }
    if (out.empty()) {
        out.push_back({code_of(response.status), {}, {},
                       "the server answered with status " + std::to_string(response.status)});
    }
    return out;
}

Result<HostPort> HostPort::parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return invalid("address", "\"" + std::string(text) + "\" has no port: write IP:PORT");
    }
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (port.empty() || failed != std::errc{} || end != port.data() + port.size() ||
        number > 65535) {
        return invalid("address", "\"" + std::string(port) + "\" is no port: use 0 to 65535");
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return invalid("address", "write an IPv6 address in brackets: [IP6]:PORT");
    }
    if (host.empty()) return invalid("address", "has no address: write IP:PORT");
    return HostPort{std::string(host), std::string(port)};
}

Result<Target> Target::parse(std::string_view text) {
    Target target;
    if (text.starts_with("unix:")) {
        target.host = text.substr(5);
        if (target.host.empty()) return invalid("server", "unix: needs the path of a socket");
        return target;
    }
    if (text.starts_with("https://")) {
        target.kind = Kind::tls;
        text.remove_prefix(8);
    } else if (text.starts_with("http://")) {
        target.kind = Kind::plain;
        text.remove_prefix(7);
    } else {
        return invalid("server", "expected https://HOST:PORT, http://HOST:PORT or unix:PATH");
    }
    if (text.ends_with('/')) text.remove_suffix(1);
    auto parsed = HostPort::parse(text);
    if (!parsed) return invalid("server", parsed.error().message);
    target.host = std::move(parsed->host);
    target.port = std::move(parsed->port);
    return target;
}

std::string Target::text() const {
    if (kind == Kind::unix_socket) return "unix:" + host;
    const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
    return (kind == Kind::tls ? "https://" : "http://") + shown + ":" + port;
}

}  // namespace weir::rest
