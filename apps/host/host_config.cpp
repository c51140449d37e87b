#include "apps/host/host_config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/log.hpp"
#include "features/feature.hpp"
#include "model/canonical.hpp"
#include "model/core_resources.hpp"
#include "model/validate.hpp"
#include "model/yaml.hpp"

namespace weir::host {
namespace {

Result<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf()))
        return Error{Errc::not_found, path, {}, "cannot be read: " + std::string(strerror(errno))};
    return std::move(text).str();
}

dataplane::DeviceSpec device_spec(const model::Device& device) {
    dataplane::DeviceSpec spec;
    for (const auto& [type, name] : enum_names(device.type))
        if (type == device.type) spec.kind = name;
    spec.interface = device.interface;
    spec.path = device.path;
    spec.client = device.client;
    spec.rx_file = device.rx_file;
    spec.tx_file = device.tx_file;
    spec.devargs = device.devargs;
    spec.queues = device.queues;
    return spec;
}

Error first_of(const model::Errors& errors) {
    for (const Error& error : errors.list()) log::error("config.invalid", {{"why", error.text()}});
    return errors.list().front();
}

Status write_durably(const std::string& path, const std::string& text) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = file >= 0;
    for (std::size_t at = 0; ok && at < text.size();) {
        const ssize_t n = write(file, text.data() + at, text.size() - at);
        ok = n > 0;
        if (ok) at += static_cast<std::size_t>(n);
    }
    ok = ok && fsync(file) == 0;
    const int error = errno;
    if (file >= 0) close(file);
    if (ok) return {};
    return Error{Errc::io, path, {}, "cannot be written: " + std::string(strerror(error))};
}

}  // namespace

const model::Registry& registry() {
    static const model::Registry all = features::registry_of(features::all());
    return all;
}

model::Snapshot plan_for(const model::Snapshot& intent, const std::string& host) {
    return features::plan_for(features::all(), registry(), intent, {}, host);
}

HostConfig config_of(const model::Snapshot& planned, const std::string& host) {
    HostConfig config;
    config.revision = planned.revision;
    config.canonical = model::encode_canonical(registry(), planned);
    const model::Host* self = planned.find<model::Host>(host);
    if (self && self->underlay.type != model::DeviceType::none) {
        PortSpec spec{"underlay", device_spec(self->underlay), false};
        spec.device.mtu = 0;  // whatever the interface has
        config.ports.push_back(std::move(spec));
    }
    for (const auto& [name, port] : planned.all<model::Port>()) {
        if (port.device.type == model::DeviceType::none) continue;
        PortSpec spec{name, device_spec(port.device), bool(port.service_segment)};
        spec.device.mtu = model::mtu_of(planned, port);
        spec.device.mac = port.mac.text();
        (port.host.name == host ? config.ports : config.elsewhere).push_back(std::move(spec));
    }
    return config;
}

Result<model::Snapshot> read_config_file(const std::string& path, const std::string& host) {
    const Result<std::string> text = read_file(path);
    if (!text) return text.error();
    model::Errors errors;
    const std::vector<model::Document> documents = model::parse_documents(*text, errors);
    model::Snapshot intent;
    if (errors.empty()) model::put_documents(registry(), documents, intent, errors);
    if (errors.empty()) errors = model::validate(registry(), intent);
    if (!errors.empty()) return first_of(errors);
    if (!intent.find<model::Host>(host))
        return Error{Errc::not_found, path, {}, "has no host named " + host};
    return plan_for(intent, host);
}

Status LastGood::save(const model::Snapshot& planned) const {
    const std::string text = model::encode_canonical(registry(), planned);
    const std::string fresh = path_ + ".new";
    if (Status written = write_durably(fresh, text); !written) return written;
    if (std::rename(fresh.c_str(), path_.c_str()) != 0)
        return Error{Errc::io, path_, {}, "cannot be replaced: " + std::string(strerror(errno))};
    return {};
}

Result<model::Snapshot> LastGood::load() const {
    const Result<std::string> text = read_file(path_);
    if (!text) return text.error();
    return model::decode_canonical(registry(), *text, model::UnknownKinds::skip);
}

}  // namespace weir::host
