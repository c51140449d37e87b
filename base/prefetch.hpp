#pragma once

namespace weir {

// Asks for the cache line of `address`, which need not be valid memory, ahead of its use.
//
// Not __builtin_prefetch: g++ 12 takes a function that does nothing else for one without effect and
// drops the calls of it.
inline void prefetch(const void* address) {
#if defined(__x86_64__)
    asm volatile("prefetcht0 (%0)" : : "r"(address));
#elif defined(__aarch64__)
    asm volatile("prfm pldl1keep, [%0]" : : "r"(address));
#else
    __builtin_prefetch(address);
#endif
}

// The same for `bytes` from there.
inline void prefetch(const void* address, unsigned bytes) {
    for (unsigned at = 0; at < bytes; at += 64) prefetch(static_cast<const char*>(address) + at);
}

}  // namespace weir
