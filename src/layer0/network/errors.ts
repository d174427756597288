// What can go wrong in the network, as codes.

import { defineErrors } from '#core/errors';

export const networkErrors = defineErrors('network', {
  poolFull: {
    status: 503,
    retry: true,
    doc: 'Every subnet of the pool is given or collides with a route of the machine. Delete apps, or widen GANTRY_NETWORK_POOL.',
  },
  subnetFull: {
    status: 503,
    retry: true,
    doc: "Every address of the app's subnet is held. Scale down, or make new subnets larger with GANTRY_NETWORK_PREFIX.",
  },
  notFound: {
    status: 404,
    retry: true,
    doc: 'The app has no network yet, or it is being removed.',
  },
  inUse: {
    status: 409,
    retry: true,
    doc: "Jobs still hold addresses in the app's network; it is removed when they are gone.",
  },
  contended: {
    status: 503,
    retry: true,
    doc: 'Too many writers wanted an address at the same moment; try again.',
  },
  badRange: {
    status: 500,
    retry: false,
    doc: 'A network range in the settings is not an IPv4 CIDR of a usable size.',
  },
  badPorts: {
    status: 500,
    retry: false,
    doc: 'GANTRY_ROUTER_PORTS is not a list of TCP ports and ranges.',
  },
  notElsewhere: {
    status: 404,
    retry: false,
    doc: 'No job on another machine has or had this address: connections to it are not ended.',
  },
  firewall: {
    status: 500,
    retry: true,
    doc: 'iptables is missing or refused a rule. Apps are not started without their firewall; the message has its words.',
  },
  overlay: {
    status: 500,
    retry: true,
    doc: 'The tunnels between machines could not be set up; the message has the words of ip or bridge. Containers of one machine reach each other all the same.',
  },
});
