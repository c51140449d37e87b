#pragma once
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/abi.hpp"
#include "dataplane/heap_pool.hpp"

namespace weir::engine {

// A shell without devices or threads: memory, and a list of what was sent.
class MemoryShell {
public:
    using Frame = std::vector<std::uint8_t>;
    struct Sent {
        std::uint32_t port = 0;
        Frame frame;
    };

    explicit MemoryShell(std::uint32_t workers = 1) {
        vtable.abi_version = weir_abi_version;
        vtable.workers = workers;
        vtable.flows_per_worker = 4096;
        vtable.host = this;
        vtable.transmit = [](void* host, std::uint32_t worker, std::uint32_t port,
                             net::Packet** packets, std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i)
                of(host).sent.push_back(
                    {port, Frame(packets[i]->data, packets[i]->data + packets[i]->length)});
            of(host).pool.release(worker, packets, count);
        };
        vtable.allocate = [](void* host, std::uint32_t worker, net::Packet** out,
                             std::uint32_t count) {
            return of(host).pool.allocate(worker, out, count);
        };
        vtable.release = [](void* host, std::uint32_t worker, net::Packet** packets,
                            std::uint32_t count) { of(host).pool.release(worker, packets, count); };
        vtable.hand_to_worker = [](void* host, std::uint32_t, std::uint32_t to,
                                   net::Packet** packets, std::uint32_t count) {
            for (std::uint32_t i = 0; i < count; ++i) of(host).handed.emplace_back(to, packets[i]);
        };
        vtable.hand_to_engine = [](void* host, std::uint32_t worker, net::Packet** packets,
                                   std::uint32_t count) {
            of(host).pool.release(worker, packets, count);
        };
        vtable.pool = [](void* host, const char* name, std::size_t bytes, std::uint32_t,
                         std::uint32_t* adoption) {
            Memory& memory = of(host).pools_.try_emplace(name, nullptr, &std::free).first->second;
            *adoption = memory ? weir_pool_shared : weir_pool_created;
            if (!memory) {
                const std::size_t whole = (bytes + 63) / 64 * 64;
                memory.reset(std::aligned_alloc(64, whole));
                std::memset(memory.get(), 0, whole);
            }
            return memory.get();
        };
        vtable.event = [](void*, const char*, std::size_t) {};
    }
    MemoryShell(const MemoryShell&) = delete;

    static weir_port_info port(std::uint32_t index, const char* name) {
        weir_port_info info{};
        info.index = index;
        info.incarnation = 1;
        info.mtu = 1500;
        std::strncpy(info.name, name, sizeof info.name - 1);
        return info;
    }

    dataplane::HeapPool pool{4096};
    weir_host_vtable vtable{};
    std::vector<Sent> sent;
    std::vector<std::pair<std::uint32_t, net::Packet*>> handed;  // to which worker

private:
    using Memory = std::unique_ptr<void, decltype(&std::free)>;
    static MemoryShell& of(void* host) { return *static_cast<MemoryShell*>(host); }
    std::map<std::string, Memory> pools_;
};

}  // namespace weir::engine
