#pragma once
#include <cstddef>
#include <cstdint>

// Every table, queue, name, burst, recirculation and time-out has its limit here.
namespace weir::limits {

inline constexpr std::size_t max_workers = 16;
inline constexpr std::size_t max_ports = 1024;        // per host, guest + service + underlay
inline constexpr std::size_t max_burst = 32;          // packets a worker handles at once
inline constexpr std::size_t max_recirculations = 4;  // entries of one packet into one context
inline constexpr std::size_t max_name_bytes = 63;     // names of resources
inline constexpr std::size_t max_replicas = 256;      // copies of one broadcast frame
inline constexpr std::size_t max_frame_bytes = 9216;  // one linear packet, tunnel headers included
inline constexpr std::size_t packet_headroom_bytes = 256;
inline constexpr std::uint32_t tunnel_headroom_bytes = 200;  // MTU head-room of every tunnel
inline constexpr std::size_t default_flows_per_worker = 65536;
inline constexpr std::size_t max_event_backlog = 4096;  // a host's, while no controller takes them
inline constexpr std::size_t max_hops = 8;  // of a service path, one direction (OBJ-9)

}  // namespace weir::limits
