#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

// The memory that generator and driver share: a file of 8-byte words. bench/weirbench/page.py
// reads the same; whoever changes one raises page_version in both.
namespace weir::gen {

// A word that one thread writes and others read.
class Word {
public:
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }
    void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(std::uint64_t value) { set(get() + value); }

private:
    std::atomic<std::uint64_t> value_{0};
};

enum class Command : std::uint64_t { hold = 0, run = 1 };
enum class Phase : std::uint64_t { hold = 0, setup = 1, steady = 2 };

// What is wrong with a packet that came back.
enum class Wrong : std::size_t {
    length,       // longer or shorter than it may be
    header,       // addresses, type, hop limit, tunnel: not what must come out here
    ip_checksum,  // every packet
    l4_checksum,  // one packet in 64
    tuple,        // one packet in 64: of no flow that was sent
    count_
};

// Of one side; counted by the thread that uses its port.
struct alignas(64) SidePage {
    Word sent, sent_bytes, sent_sum;  // sums: of addresses and ports of all packets
    Word came, came_bytes, came_sum;  // at this side's sink
    Word other;                       // frames of the side under test itself: ARP and the like
    Word asked, idle;                 // bursts asked for, those of them left empty
    Word wrong[static_cast<std::size_t>(Wrong::count_)];
    Word opened;                  // handshakes: SYNs that came, or answers to them
    Word finished;                // connections of which the last packet was sent
    Word noise_sent, noise_came;  // in none of the counts above
};

inline constexpr std::uint64_t page_magic = 0x31304e4547524957;  // "WIRGEN01"
inline constexpr std::uint64_t page_version = 2;
inline constexpr std::size_t delay_buckets = 4096;

struct Page {
    Word magic, version;
    Word command;  // the driver's
    Word phase;    // the generator's
    Word rate;     // packets/s that each side offers once it is steady; 0: all that is asked for
    Word tsc_hz;
    Word attached;  // sides whose port has started
    Word noise;     // the driver's: of each hundred packets of side a, so many are noise; below 100
    alignas(64) SidePage side[2];
    // How many packets took so long from due to sent: cycles of tsc_hz, bucketed by delay.hpp.
    alignas(64) Word delays[delay_buckets];
};

static_assert(offsetof(Page, side) == 64 && sizeof(SidePage) == 192);  // as page.py has it
static_assert(offsetof(Page, delays) == 448);

}  // namespace weir::gen
