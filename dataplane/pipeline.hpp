#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "dataplane/stage.hpp"

namespace weir::dataplane {

// An ordered list of stages: one context. Bit I of Packet::pending belongs to the I-th stage.
template <Stage... S>
struct StageList {
    static constexpr std::size_t size = sizeof...(S);
    static_assert(size < 64);
    static constexpr StageBits all = (1ull << size) - 1;

    template <class T>
    static constexpr std::size_t index_of() {
        std::size_t i = 0, found = size;
        ((std::is_same_v<T, S> ? void(found = i), ++i : ++i), ...);
        return found;
    }
    template <class T>
    static constexpr StageBits bit_of() {
        constexpr std::size_t i = index_of<T>();
        return i == size ? 0 : 1ull << i;
    }
    // The stages behind T; all of them when T is not in the list.
    template <class T>
    static constexpr StageBits behind() {
        constexpr std::size_t i = index_of<T>();
        return i == size ? all : all & ~((2ull << i) - 1);
    }
    // T and the stages behind it.
    template <class T>
    static constexpr StageBits from() {
        return behind<T>() | bit_of<T>();
    }
    template <class F>
    static void for_each(F&& f) {
        (f.template operator()<S>(), ...);
    }
};

namespace detail {
template <class Tuple, class... T>
struct Unique {
    using type = Tuple;
};
template <class... Have, class T, class... Rest>
struct Unique<std::tuple<Have...>, T, Rest...>
    : std::conditional_t<(std::is_same_v<Have, T> || ...), Unique<std::tuple<Have...>, Rest...>,
                         Unique<std::tuple<Have..., T>, Rest...>> {};

template <class... Lists>
struct Join;
template <class... S>
struct Join<StageList<S...>> {
    using type = typename Unique<std::tuple<>, S...>::type;
};
template <class... A, class... B, class... Rest>
struct Join<StageList<A...>, StageList<B...>, Rest...> : Join<StageList<A..., B...>, Rest...> {};

template <class Tuple>
struct Parts;
template <class... S>
struct Parts<std::tuple<S...>> {
    using Tables = std::tuple<std::shared_ptr<const typename S::Tables>...>;
    using State = std::tuple<typename S::State...>;
    using ExitCounts = std::tuple<Exits<typename S::Exit>...>;
    template <class T>
    static constexpr std::size_t index_of() {
        std::size_t i = 0, found = 0;
        ((std::is_same_v<T, S> ? void(found = i), ++i : ++i), ...);
        return found;
    }
    template <class F>
    static void for_each(F&& f) {
        (f.template operator()<S>(), ...);
    }
};
}  // namespace detail

// Four contexts and everything their stages need. A stage that stands in several lists has one
// Tables, one State per worker and one set of exit counters.
template <class Source, class Destination, class Underlay, class Service>
struct Plane {
    using Stages = typename detail::Join<Source, Destination, Underlay, Service>::type;
    using Parts = detail::Parts<Stages>;
    using Tables = typename Parts::Tables;

    // One worker's state and its four pipelines.
    class Worker {
    public:
        explicit Worker(Emit& emit) : emit_(emit) {}

        void open(const OpenInput& input) {
            Parts::for_each([&]<class S>() {
                if constexpr (requires(typename S::State & s) { s.open(input); })
                    state<S>().open(input);
            });
        }
        // Works on everything that waits in the contexts' queues, then lets it go.
        void drain(const Tables& tables) {
            bool more = true;
            while (more) {
                more = context<Underlay>(Context::underlay, tables);
                more |= context<Service>(Context::service, tables);
                more |= context<Source>(Context::source, tables);
                more |= context<Destination>(Context::destination, tables);
            }
            emit_.flush();
        }
        void tick(const Tables& tables) {
            Parts::for_each([&]<class S>() {
                if constexpr (requires {
                                  S::tick(table<S>(tables), state<S>(), exits<S>(), emit_);
                              })
                    S::tick(table<S>(tables), state<S>(), exits<S>(), emit_);
            });
            drain(tables);
        }
        // Lets go of every packet that a stage keeps.
        void leave() {
            Parts::for_each([&]<class S>() {
                if constexpr (requires { S::leave(state<S>(), exits<S>(), emit_); })
                    S::leave(state<S>(), exits<S>(), emit_);
            });
            emit_.flush();
        }
        template <class S>
        typename S::State& state() {
            return std::get<Parts::template index_of<S>()>(state_);
        }
        template <class S>
        Exits<typename S::Exit>& exits() {
            return std::get<Parts::template index_of<S>()>(exits_);
        }
        template <class S>
        static const typename S::Tables& table(const Tables& tables) {
            return *std::get<Parts::template index_of<S>()>(tables);
        }
        std::uint64_t no_outcome = 0;  // packets that fell out of a list: a defect

    private:
        template <class List>
        bool context(Context which, const Tables& tables) {
            auto& queue = emit_.queue(which);
            if (queue.empty()) return false;
            std::array<Burst, List::size> inbox;
            for (std::size_t n = 0; n < limits::max_burst; ++n) {
                Packet* p = queue.pop();
                if (!p) break;
                place<List::size>(inbox, *p);
            }
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                (step<List, I>(which, inbox, tables), ...);
            }
            (std::make_index_sequence<List::size>{});
            return true;
        }
        template <std::size_t N>
        void place(std::array<Burst, N>& inbox, Packet& p) {
            const auto next = static_cast<std::size_t>(std::countr_zero(p.pending));
            if (next < N) {
                inbox[next].push(p);
                return;
            }
            ++no_outcome;
            emit_.drop(p);
        }
        template <class List, std::size_t I>
        void step(Context which, std::array<Burst, List::size>& inbox, const Tables& tables) {
            using S = std::tuple_element_t<I, decltype(tuple_of(List{}))>;
            Burst& burst = inbox[I];
            if (burst.size() == 0) return;
            std::array<std::uint32_t, limits::max_burst> traced;
            std::uint8_t slot = 0;
            for (Packet* p : burst.packets()) {
                p->pending &= ~(1ull << I);
                traced[slot] = p->hand.trace_id;
                p->slot = slot++;
            }
            emit_.taken = 0;
            S::run(burst, table<S>(tables), state<S>(), exits<S>(), emit_);
            for (std::size_t i = 0; i < burst.size(); ++i) {
                const bool taken = emit_.taken >> i & 1;
                Packet* const p = burst.packets()[i];
                const bool dropped = !taken && p->exit != net::no_exit;
                // What a node gave back is known to be traced once the stage has looked.
                const std::uint32_t trace_id = taken ? traced[i] : p->hand.trace_id;
                if (trace_id != 0) [[unlikely]]
                    emit_.trace.stage(trace_id, static_cast<std::uint8_t>(which), S::name,
                                      taken     ? std::string_view("sent")
                                      : dropped ? std::string_view(S::exit_names[p->exit])
                                                : std::string_view("continue"),
                                      emit_.now_ns);
                if (taken) continue;
                p->slot = net::no_slot;
                if (dropped) {
                    p->exit = net::no_exit;
                    emit_.drop(*p);
                } else {
                    place<List::size>(inbox, *p);
                }
            }
            burst.clear();
        }
        template <class... S>
        static std::tuple<S...> tuple_of(StageList<S...>);

        Emit& emit_;
        typename Parts::State state_;
        typename Parts::ExitCounts exits_;
    };
};

}  // namespace weir::dataplane
