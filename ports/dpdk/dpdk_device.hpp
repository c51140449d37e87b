#pragma once
#include <memory>

#include "base/result.hpp"
#include "dataplane/device.hpp"
#include "ports/dpdk/mbuf_pool.hpp"

namespace weir::ports {

// Opens a device by DPDK driver. Kind "vhost_user": as its client we connect to the guest's socket,
// so that the guest's end survives us. Kind "virtio_user" is that guest's end, listening; it may
// leave TCP checksums to the host (packet_partial_checksum). Kind "dpdk" is any virtual device
// of DPDK, by its devargs. Devices come and go while the process runs.
Result<std::unique_ptr<dataplane::Device>> open_dpdk_device(const dataplane::DeviceSpec& spec,
                                                            MbufPool& pool);

}  // namespace weir::ports
