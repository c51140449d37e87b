#pragma once
#include <cstddef>
#include <cstdint>

#include "net/packet.hpp"

// The seam between shell and engine: plain data and function pointers, one version number.
//
// The shell (weir-host, weir-nic) owns ports, memory, threads and the vault. The engine
// (libweir-engine.so) owns behaviour. Several engines may be loaded at once; each port belongs to
// exactly one of them. No exception crosses this line, no engine keeps thread-local or global
// state.
//
// Threads: those with a worker's number are called by that worker's thread, everything else by the
// shell's one control thread, never two calls at once.
extern "C" {

inline constexpr std::uint32_t weir_abi_version = 4;

struct weir_engine;  // opaque, the engine's own

// How a vault pool came to be (pool()).
enum weir_adoption : std::uint32_t {
    weir_pool_created = 0,    // zeroed
    weir_pool_adopted = 1,    // left by a process that ended cleanly
    weir_pool_recovered = 2,  // left by a process that died: contents need recovery
    weir_pool_shared = 3,  // in use by another engine of this process: open a view, recover nothing
};

// What the engine asks of its shell. Packet arrays: ownership moves with the call.
struct weir_host_vtable {
    std::uint32_t abi_version;
    std::uint32_t workers;
    void* host;

    // To the device of `port`. What the device does not take is freed and counted by the shell.
    void (*transmit)(void* host, std::uint32_t worker, std::uint32_t port,
                     weir::net::Packet** packets, std::uint32_t count);
    // Fills `out` with empty packets (data behind the headroom of limits.hpp); returns how many.
    std::uint32_t (*allocate)(void* host, std::uint32_t worker, weir::net::Packet** out,
                              std::uint32_t count);
    void (*release)(void* host, std::uint32_t worker, weir::net::Packet** packets,
                    std::uint32_t count);
    // To another worker; it gets them through run() with Packet::hand as it stands.
    void (*hand_to_worker)(void* host, std::uint32_t from, std::uint32_t to,
                           weir::net::Packet** packets, std::uint32_t count);
    // To the engine that owns hand.port, on the same worker (parked while the port is frozen).
    void (*hand_to_engine)(void* host, std::uint32_t worker, weir::net::Packet** packets,
                           std::uint32_t count);
    // Memory that outlives the engine and the process. Same name and layout: same memory.
    // Null when it cannot be had; control thread only. `adoption` receives a weir_adoption.
    void* (*pool)(void* host, const char* name, std::size_t bytes, std::uint32_t layout_version,
                  std::uint32_t* adoption);
    // One JSON object, shown to operators. From any thread; the shell copies it into a bounded
    // queue.
    void (*event)(void* host, const char* json, std::size_t bytes);

    // Flow records that each worker's table holds; the same for all engines of a host.
    std::uint32_t flows_per_worker;
};

// Where a port is while it moves between hosts.
enum weir_port_place : std::uint32_t {
    weir_port_configured = 0,  // where the snapshot says
    weir_port_arriving = 1,    // still elsewhere: introduce() and restore() make it ready
    weir_port_arrived = 2,     // here, whatever the snapshot says: it follows
};

// A port as the shell opened it.
struct weir_port_info {
    std::uint32_t index;           // 0 … max_ports-1, stable over restarts for the same name
    std::uint32_t incarnation;     // grows when the index is given to another port
    std::uint32_t polling_worker;  // has its first queue; looks after what is not of a flow
    std::uint32_t mtu;             // largest IP packet the device takes
    char name[64];                 // resource name; the host's underlay port is "underlay"
    std::uint32_t place;           // a weir_port_place
    std::uint32_t from_host;       // arriving, arrived: the host's id
};

// Where a port went that was here.
struct weir_port_move {
    std::uint32_t port;       // index it had
    std::uint32_t to_host;    // id
    std::uint32_t to_anchor;  // its AnchorPortId there
    std::uint64_t until_ns;   // of the workers' time: what comes later for it is dropped
};

// Receives text or bytes in pieces; `write` returns false to stop.
struct weir_sink {
    void* context;
    bool (*write)(void* context, const char* bytes, std::size_t count);
};

// What the engine offers. Where 0 or false means "refused", `error` receives
// {"object":…,"field":…,"message":…}.
struct weir_engine_api {
    std::uint32_t abi_version;
    const char* build_id;  // differs between builds
    const char* version;

    // `instance` differs between the engines of one host, also over restarts; never 0.
    weir_engine* (*create)(const weir_host_vtable* host, const char* host_name,
                           std::uint32_t instance, weir_sink error);
    void (*destroy)(weir_engine*);

    // A canonical encoding of the host's snapshot (model/canonical.hpp). Compiles, then offers the
    // program to the workers. Returns a ticket (> 0), or 0 when refused: the last program keeps
    // running.
    std::uint64_t (*publish)(weir_engine*, const char* bytes, std::size_t count,
                             std::uint64_t revision, weir_sink error);
    // True once every worker runs the program of that ticket or a later one.
    bool (*settled)(weir_engine*, std::uint64_t ticket);

    // All four return a ticket like publish, or 0 when refused.
    // introduce(): the port is in another engine's hands; packets for it go to hand_to_engine. A
    // second engine hears of every port before the first one is moved to it.
    std::uint64_t (*introduce)(weir_engine*, const weir_port_info* port, weir_sink error);
    // The engine handles the port's packets from now on; also takes a quiesced port back.
    std::uint64_t (*attach)(weir_engine*, const weir_port_info* port, weir_sink error);
    // From the next burst on the port counts as introduced: it moves, or has moved, elsewhere.
    std::uint64_t (*quiesce)(weir_engine*, std::uint32_t port);
    // The port is gone, and its flows with it once every worker has seen that.
    std::uint64_t (*detach)(weir_engine*, std::uint32_t port);

    // In place, from engine to engine of one host: what the port owns beside the vault. Saved while
    // it is quiesced, restored before it is attached: from the moment it is attached, packets of
    // other ports may reach it. restore() makes the port's records in the vault this engine's;
    // attach() refuses a port whose records another engine of this process has.
    //
    // Not in place, from host to host: save() only begins a pass over all that the port owns, or
    // (`delta`) over what is new since the pass before; the workers then write it with
    // save_slice(). restore() checks a blob (dataplane/port_blob.hpp) and changes nothing; if it is
    // right, every worker takes its share of it with restore_slice().
    bool (*save)(weir_engine*, std::uint32_t port, bool in_place, bool delta, weir_sink out,
                 weir_sink error);
    bool (*restore)(weir_engine*, std::uint32_t port, bool in_place, const char* bytes,
                    std::size_t count, weir_sink error);

    // Packets of any ports, each entering where its HandOver says (port, entry). Returns how many
    // unfinished handshakes had to go for what they began: work that came to nothing, like that
    // for packets which are released.
    std::uint32_t (*run)(weir_engine*, std::uint32_t worker, weir::net::Packet** packets,
                         std::uint32_t count, std::uint64_t now_ns);
    void (*tick)(weir_engine*, std::uint32_t worker, std::uint64_t now_ns);
    // The last call on this worker: packets that wait in the engine go to the engine of their port,
    // or are freed.
    void (*leave)(weir_engine*, std::uint32_t worker);

    // One JSON question, one JSON answer; dataplane/queries.md lists them.
    void (*query)(weir_engine*, const char* request, std::size_t count, weir_sink answer);
    void (*worker_query)(weir_engine*, std::uint32_t worker, const char* request, std::size_t count,
                         std::uint64_t now_ns, weir_sink answer);

    // A port that moves to another host, in steps so short that no burst waits long.
    // The worker's next blob of the pass that save() began, of less than max_port_blob_bytes;
    // nothing if this step has nothing to tell. A weir_slice.
    std::uint32_t (*save_slice)(weir_engine*, std::uint32_t worker, std::uint32_t port,
                                std::uint64_t now_ns, weir_sink out, weir_sink error);
    // Takes the worker's share of a blob. `answer` receives, for every flow, its FlowHandle where
    // it was and its FlowHandle here, 4 bytes each, big-endian.
    bool (*restore_slice)(weir_engine*, std::uint32_t worker, std::uint32_t port, const char* bytes,
                          std::size_t count, std::uint64_t now_ns, weir_sink answer,
                          weir_sink error);
    // detach() of a port that is now on another host: until a time, what still comes for it is sent
    // there (spec service-plane MB-6). `handles`: as restore_slice() answered. With `until_ns` 0 it
    // forgets what it was told before. A ticket.
    std::uint64_t (*forward)(weir_engine*, const weir_port_move* move, const char* handles,
                             std::size_t count, weir_sink error);
};

// What save_slice() says.
enum weir_slice : std::uint32_t {
    weir_slice_refused = 0,
    weir_slice_more = 1,
    weir_slice_last = 2,
};

// The one exported symbol of libweir-engine.so.
const weir_engine_api* weir_engine_entry(void);

}  // extern "C"
