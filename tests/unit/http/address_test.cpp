#include "sdk/http/address.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace pipes::http {
namespace {

TEST(ZoneOf, KnowsTheSpecialBlocks) {
  for (const char *ip :
       {"127.0.0.1", "127.255.0.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"})
    EXPECT_EQ(zone_of(ip), Zone::loopback) << ip;
  for (const char *ip : {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "fd00::1",
                         "::ffff:10.0.0.1", "2002:0a00:0001::1"})
    EXPECT_EQ(zone_of(ip), Zone::private_network) << ip;
  for (const char *ip : {"169.254.169.254", "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255"})
    EXPECT_EQ(zone_of(ip), Zone::link_local) << ip;
  for (const char *ip : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"})
    EXPECT_EQ(zone_of(ip), Zone::internet) << ip;
}

TEST(ZoneOf, IsStrictWithWhatItCannotRead) {
  EXPECT_EQ(zone_of("registry.example"), Zone::link_local);
}

TEST(MaySendTo, NeverLeadsFromTheInternetInside) {
  for (const Zone inside : {Zone::private_network, Zone::loopback, Zone::link_local})
    EXPECT_FALSE(may_send_to(Zone::internet, inside));
}

TEST(MaySendTo, NeverLeadsToTheMetadataServiceOfACloud) {
  for (const Zone from : {Zone::internet, Zone::private_network, Zone::loopback})
    EXPECT_FALSE(may_send_to(from, Zone::link_local));
}

TEST(MaySendTo, AllowsWhereTheRegistryItselfIs) {
  EXPECT_TRUE(may_send_to(Zone::private_network, Zone::private_network));
  EXPECT_TRUE(may_send_to(Zone::loopback, Zone::loopback));
  EXPECT_TRUE(may_send_to(Zone::loopback, Zone::private_network));
  EXPECT_FALSE(may_send_to(Zone::private_network, Zone::loopback));
  for (const Zone from : {Zone::internet, Zone::private_network, Zone::loopback, Zone::link_local})
    EXPECT_TRUE(may_send_to(from, Zone::internet));
}

TEST(IsProxy, KnowsTheAddressOfTheProxyInUse) {
  ::setenv("https_proxy", "http://user:pw@127.0.0.1:3128", 1);
  EXPECT_TRUE(is_proxy("127.0.0.1", 3128));
  EXPECT_FALSE(is_proxy("127.0.0.1", 80));
  EXPECT_FALSE(is_proxy("127.0.0.2", 3128));
  ::unsetenv("https_proxy");
  EXPECT_FALSE(is_proxy("127.0.0.1", 3128));
}

}  // namespace
}  // namespace pipes::http
