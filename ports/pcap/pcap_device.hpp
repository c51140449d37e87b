#pragma once
#include <memory>

#include "base/result.hpp"
#include "dataplane/device.hpp"

namespace weir::ports {

// Receives the frames of the capture `spec.rx_file`, one after the other, as fast as it is asked;
// writes what is sent to the capture `spec.tx_file`. Either may be empty. At the end of rx_file the
// link stays up and nothing more comes.
Result<std::unique_ptr<dataplane::Device>> open_pcap_device(const dataplane::DeviceSpec& spec,
                                                            dataplane::PacketPool& pool);

}  // namespace weir::ports
