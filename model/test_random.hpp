#pragma once
#include <random>
#include <string>
#include <utility>

#include "model/core_resources.hpp"
#include "model/describe.hpp"
#include "model/snapshot.hpp"

// Random content for property tests, made from the descriptions, so that it stays within bounds.
namespace weir::model::random {

using Engine = std::mt19937_64;

inline std::uint64_t below(Engine& engine, std::uint64_t n) {
    return engine() % n;
}

inline std::string word(Engine& engine, std::size_t min, std::size_t max) {
    static const std::string_view letters[] = {"a", "7", "-", " ", "\"", "\\", "é", "\n", "€", ":"};
    std::string out;
    const std::size_t size = min + below(engine, std::min<std::size_t>(max - min, 12) + 1);
    while (out.size() < size) {
        const std::string_view next = letters[below(engine, std::size(letters))];
        out += out.size() + next.size() <= size ? next : "x";
    }
    return out;
}

inline std::string name(Engine& engine) {
    return "n" + std::to_string(below(engine, 30));
}

template <Described S>
S fields(Engine& engine);

template <class T>
T value(Engine& engine, const Bounds& bounds) {
    if constexpr (std::is_same_v<T, bool>) {
        return below(engine, 2) == 1;
    } else if constexpr (std::is_integral_v<T>) {
        const auto span = static_cast<std::uint64_t>(bounds.max - bounds.min) + 1;
        return bounds.bounded
                   ? static_cast<T>(bounds.min + static_cast<std::int64_t>(below(engine, span)))
                   : static_cast<T>(engine());
    } else if constexpr (std::is_same_v<T, std::string>) {
        return word(engine, bounds.bounded ? static_cast<std::size_t>(bounds.min) : 0,
                    bounds.bounded ? static_cast<std::size_t>(bounds.max) : 40);
    } else if constexpr (is_ref<T>) {
        return T(name(engine));
    } else if constexpr (NamedEnum<T>) {
        const auto names = enum_names(T{});
        return names[below(engine, names.size())].first;
    } else if constexpr (std::is_same_v<T, net::Mac>) {
        net::Mac mac;
        for (auto& byte : mac.bytes) byte = static_cast<std::uint8_t>(engine());
        mac.bytes[0] = 2;
        return mac;
    } else if constexpr (std::is_same_v<T, net::Ip>) {
        if (below(engine, 2)) return net::Ip::from4(static_cast<std::uint32_t>(engine()));
        net::Ip ip;
        for (auto& byte : ip.bytes) byte = static_cast<std::uint8_t>(engine());
        return ip;
    } else if constexpr (std::is_same_v<T, net::Prefix> || std::is_same_v<T, HostAddress>) {
        const auto ip = value<net::Ip>(engine, {});
        const auto length = static_cast<std::uint8_t>(below(engine, ip.is4() ? 33 : 129));
        if constexpr (std::is_same_v<T, net::Prefix>) return net::Prefix{ip, length}.network();
        else return HostAddress{ip, length};
    } else if constexpr (std::is_same_v<T, Labels>) {
        Labels labels;
        for (auto n = below(engine, 4); n > 0; --n)
            labels[word(engine, 1, 8)] = word(engine, 0, 12);
        return labels;
    } else if constexpr (is_list<T>) {
        T out;
        const auto most = std::min<std::uint64_t>(bounds.max_count, bounds.min_count + 4);
        const auto count = bounds.min_count + below(engine, most - bounds.min_count + 1);
        while (out.size() < count) out.push_back(value<typename T::value_type>(engine, bounds));
        return out;
    } else if constexpr (requires { T::arbitrary(std::uint64_t{}); }) {
        return T::arbitrary(engine());
    } else {
        return fields<T>(engine);
    }
}

// Every field that need not be set keeps its default in one of four.
template <Described S>
S fields(Engine& engine) {
    S out{};
    for_each_field<S>([&](const auto& f) {
        using T = typename std::remove_cvref_t<decltype(f)>::Type;
        if (f.is_key) {
            if constexpr (std::is_same_v<T, std::string>) out.*(f.member) = name(engine);
        } else if (f.is_required || below(engine, 4) != 0) {
            out.*(f.member) = value<T>(engine, f.bounds);
        }
    });
    return out;
}

// Within bounds, but neither references nor anything else need hold together.
inline Snapshot snapshot(Engine& engine, int resources) {
    Snapshot out;
    for (int i = 0; i < resources; ++i) {
        switch (below(engine, 6)) {
            case 0:
                out.put(fields<Host>(engine));
                break;
            case 1:
                out.put(fields<Segment>(engine));
                break;
            case 2:
                out.put(fields<ServiceSegment>(engine));
                break;
            case 3:
                out.put(fields<Router>(engine));
                break;
            case 4:
                out.put(fields<Group>(engine));
                break;
            default:
                out.put(fields<Port>(engine));
                break;
        }
    }
    return out;
}

}  // namespace weir::model::random
