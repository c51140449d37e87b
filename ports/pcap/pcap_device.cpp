#include "ports/pcap/pcap_device.hpp"

#include <chrono>
#include <optional>
#include <utility>

#include "net/pcap_file.hpp"

namespace weir::ports {
namespace {

using dataplane::DeviceSpec;
using dataplane::DeviceState;
using dataplane::PortDrop;
using net::Packet;

class PcapDevice final : public dataplane::Device {
public:
    PcapDevice(DeviceSpec spec, dataplane::PacketPool& pool, std::optional<net::PcapReader> reader,
               std::optional<net::PcapWriter> writer)
        : spec_(std::move(spec)),
          pool_(pool),
          reader_(std::move(reader)),
          writer_(std::move(writer)) {}

    std::uint32_t receive(std::uint32_t worker, Packet** out, std::uint32_t max) override;
    std::uint32_t transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) override;
    DeviceState state() override { return DeviceState::up; }
    std::uint32_t mtu() const override { return spec_.mtu; }
    std::string_view kind() const override { return "pcap"; }
    dataplane::PortStats stats() const override { return tallies_.read(); }

private:
    Packet* next(std::uint32_t worker);

    const DeviceSpec spec_;
    dataplane::PacketPool& pool_;
    std::optional<net::PcapReader> reader_;  // empty at the end of the file
    std::optional<net::PcapWriter> writer_;
    dataplane::PortTallies tallies_;
    net::CapturedFrame frame_;
    bool have_frame_ = false;  // frame_ waits for a packet to put it into
};

// The next frame that may pass; null at the end, after an error, or when the pool is dry.
Packet* PcapDevice::next(std::uint32_t worker) {
    while (reader_) {
        if (!have_frame_) {
            const Result<bool> more = reader_->next(frame_);
            if (!more) tallies_.drop(PortDrop::rx_error);
            if (!more || !*more) reader_.reset();
            if (!reader_) return nullptr;
        }
        have_frame_ = true;
        if (frame_.bytes.size() < 14 || frame_.bytes.size() < frame_.original_bytes) {
            tallies_.drop(PortDrop::rx_error);
        } else if (frame_.bytes.size() > limits::max_frame_bytes) {
            tallies_.drop(PortDrop::too_long);
        } else {
            Packet* p = pool_.make(worker, frame_.bytes.data(), frame_.bytes.size());
            if (!p) return nullptr;
            have_frame_ = false;
            if (dataplane::fits_mtu(*p, spec_.mtu)) return p;
            tallies_.drop(PortDrop::too_long);
            pool_.release(worker, &p, 1);
        }
        have_frame_ = false;
    }
    return nullptr;
}

std::uint32_t PcapDevice::receive(std::uint32_t worker, Packet** out, std::uint32_t max) {
    std::uint32_t got = 0;
    while (got < max) {
        Packet* p = next(worker);
        if (!p) break;
        tallies_.rx_packets.add();
        tallies_.rx_bytes.add(p->length);
        out[got++] = p;
    }
    return got;
}

std::uint32_t PcapDevice::transmit(std::uint32_t worker, Packet** packets, std::uint32_t count) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto at_ns = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    for (std::uint32_t i = 0; i < count; ++i) {
        const Packet& p = *packets[i];
        if (p.flags & net::packet_super_frame) {
            tallies_.drop(PortDrop::super_frame);
        } else if (!dataplane::fits_mtu(p, spec_.mtu)) {
            tallies_.drop(PortDrop::too_long);
        } else if (!writer_) {
            tallies_.drop(PortDrop::link_down);
        } else if (!writer_->write(p.bytes(), at_ns)) {
            tallies_.drop(PortDrop::tx_error);
        } else {
            tallies_.tx_packets.add();
            tallies_.tx_bytes.add(p.length);
        }
    }
    if (writer_) static_cast<void>(writer_->flush().ok());
    pool_.release(worker, packets, count);
    return count;
}

}  // namespace

Result<std::unique_ptr<dataplane::Device>> open_pcap_device(const DeviceSpec& spec,
                                                            dataplane::PacketPool& pool) {
    std::optional<net::PcapReader> reader;
    std::optional<net::PcapWriter> writer;
    if (!spec.rx_file.empty()) {
        Result<net::PcapReader> opened = net::PcapReader::open(spec.rx_file);
        if (!opened) return opened.error();
        reader = std::move(*opened);
    }
    if (!spec.tx_file.empty()) {
        Result<net::PcapWriter> created = net::PcapWriter::create(spec.tx_file);
        if (!created) return created.error();
        writer = std::move(*created);
    }
    DeviceSpec known = spec;
    if (known.mtu == 0) known.mtu = 1500;
    return std::unique_ptr<dataplane::Device>(
        std::make_unique<PcapDevice>(std::move(known), pool, std::move(reader), std::move(writer)));
}

}  // namespace weir::ports
