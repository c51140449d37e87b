#include "net/pcap_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "net/builder.hpp"

namespace weir::net {
namespace {

using Bytes = std::vector<std::uint8_t>;

// A file name of its own in the temporary directory, removed afterwards.
class PcapFile : public testing::Test {
protected:
    void SetUp() override {
        path = std::filesystem::temp_directory_path() /
               ("weir-pcap-" + std::to_string(getpid()) + "-" +
                testing::UnitTest::GetInstance()->current_test_info()->name());
    }
    void TearDown() override { std::filesystem::remove(path); }

    void write_raw(const Bytes& bytes) const {
        std::ofstream out(path, std::ios::binary);
        out.write(reinterpret_cast<const char*>(bytes.data()),
                  static_cast<std::streamsize>(bytes.size()));
    }
    std::string path;
};

TEST_F(PcapFile, frames_come_back_with_their_times) {
    Result<PcapWriter> writer = PcapWriter::create(path);
    ASSERT_TRUE(writer.ok()) << writer.error().text();
    const std::uint64_t times[] = {0, 1700000000123456789, 4294967295999999999};
    for (std::size_t i = 0; i < 3; ++i)
        ASSERT_TRUE(writer->write(counting_payload(60 + i), times[i]).ok());
    ASSERT_TRUE(writer->flush().ok());
    EXPECT_EQ(writer->bytes_written(), std::filesystem::file_size(path));
    Result<PcapReader> reader = PcapReader::open(path);
    ASSERT_TRUE(reader.ok()) << reader.error().text();
    CapturedFrame frame;
    for (std::size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(reader->next(frame).value());
        EXPECT_EQ(frame.at_ns, times[i]);
        EXPECT_EQ(frame.bytes, counting_payload(60 + i));
        EXPECT_EQ(frame.original_bytes, 60 + i);
    }
    EXPECT_FALSE(reader->next(frame).value());
}

TEST_F(PcapFile, long_frames_are_cut_and_a_full_file_says_so) {
    Result<PcapWriter> writer = PcapWriter::create(path, 24 + 16 + 65535 + 16 + 10);
    ASSERT_TRUE(writer->write(counting_payload(70000), 1).ok());
    const Status full = writer->write(counting_payload(11), 2);
    ASSERT_FALSE(full.ok());
    EXPECT_EQ(full.error().code, Errc::limit);
    ASSERT_TRUE(writer->write(counting_payload(10), 3).ok());
    ASSERT_TRUE(writer->flush().ok());
    Result<PcapReader> reader = PcapReader::open(path);
    CapturedFrame frame;
    ASSERT_TRUE(reader->next(frame).value());
    EXPECT_EQ(frame.original_bytes, 70000u);
    EXPECT_EQ(frame.bytes, counting_payload(65535));
    ASSERT_TRUE(reader->next(frame).value());
    EXPECT_EQ(frame.bytes, counting_payload(10));
}

TEST_F(PcapFile, microseconds_in_the_other_byte_order) {
    Bytes file(24 + 16);
    const std::uint8_t magic[] = {0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4};
    std::copy(std::begin(magic), std::end(magic), file.begin());
    file[23] = 1;
    file[24 + 3] = 5;   // seconds
    file[24 + 7] = 7;   // microseconds
    file[24 + 11] = 2;  // captured
    file[24 + 15] = 9;  // original
    file.insert(file.end(), {0xaa, 0xbb});
    write_raw(file);
    Result<PcapReader> reader = PcapReader::open(path);
    ASSERT_TRUE(reader.ok()) << reader.error().text();
    CapturedFrame frame;
    ASSERT_TRUE(reader->next(frame).value());
    EXPECT_EQ(frame.at_ns, 5000007000u);
    EXPECT_EQ(frame.original_bytes, 9u);
    EXPECT_EQ(frame.bytes, (Bytes{0xaa, 0xbb}));
}

TEST_F(PcapFile, refuses_what_is_no_capture) {
    EXPECT_EQ(PcapReader::open(path).error().code, Errc::io);
    EXPECT_EQ(PcapWriter::create(path + "/no/such").error().code, Errc::io);
    write_raw(Bytes(23));
    EXPECT_EQ(PcapReader::open(path).error().field, "header");
    write_raw(Bytes(24));
    EXPECT_EQ(PcapReader::open(path).error().field, "magic");
    Bytes wrong_link = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0,   0, 0, 0,
                        0,    0,    0,    0,    0, 0, 0, 0, 113, 0, 0, 0};
    write_raw(wrong_link);
    EXPECT_EQ(PcapReader::open(path).error().field, "link type");
}

TEST_F(PcapFile, a_record_that_is_cut_off_or_absurd_is_an_error) {
    Bytes file = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0,
                  0,    0,    0,    0,    0, 0, 0, 0, 1, 0, 0, 0};
    Bytes record(16);
    record[8] = 4;
    CapturedFrame frame;
    const auto error_of = [&](std::size_t record_bytes, const Bytes& content) {
        Bytes bytes = file;
        bytes.insert(bytes.end(), record.begin(),
                     record.begin() + static_cast<std::ptrdiff_t>(record_bytes));
        bytes.insert(bytes.end(), content.begin(), content.end());
        write_raw(bytes);
        Result<PcapReader> reader = PcapReader::open(path);
        EXPECT_TRUE(reader.ok());
        const Result<bool> got = reader->next(frame);
        return got.ok() ? std::string("none") : got.error().message;
    };
    EXPECT_EQ(error_of(16, Bytes(4)), "none");
    EXPECT_EQ(error_of(15, {}), "is cut off");
    EXPECT_EQ(error_of(16, Bytes(3)), "is cut off");
    record[10] = 1;
    EXPECT_EQ(error_of(16, Bytes(4)), "claims 65540 bytes");
}

}  // namespace
}  // namespace weir::net
